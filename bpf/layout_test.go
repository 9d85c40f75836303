package bpf

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// What Go reads must be what C writes: sizes, offsets and names, compared with
// the BTF of both objects.
func TestLayoutIsThatOfTheC(t *testing.T) {
	f := func(object func() (*ebpf.CollectionSpec, error), name string, twin any) {
		t.Helper()
		spec, err := object()
		if err != nil {
			t.Fatal(err)
		}
		var c *btf.Struct
		if err := spec.Types.TypeByName(name, &c); err != nil {
			t.Fatal(err)
		}
		of := reflect.TypeOf(twin)
		if uintptr(c.Size) != of.Size() {
			t.Errorf("struct %s has %d bytes, %v has %d", name, c.Size, of, of.Size())
		}
		byName := make(map[string]reflect.StructField)
		for i := range of.NumField() {
			if field := of.Field(i); field.Name != "_" {
				byName[strings.ToLower(field.Name)] = field
			}
		}
		if len(byName) != len(c.Members) {
			t.Errorf("struct %s has %d members, %v has %d", name, len(c.Members), of, len(byName))
		}
		for _, m := range c.Members {
			field, ok := byName[strings.ReplaceAll(m.Name, "_", "")]
			if !ok {
				t.Errorf("%v has nothing for %s.%s", of, name, m.Name)
				continue
			}
			size, err := btf.Sizeof(m.Type)
			if err != nil {
				t.Fatal(err)
			}
			if field.Offset != uintptr(m.Offset.Bytes()) || field.Type.Size() != uintptr(size) {
				t.Errorf("%s.%s is at %d, %d bytes; %s is at %d, %d bytes", name, m.Name, m.Offset.Bytes(), size, field.Name, field.Offset, field.Type.Size())
			}
		}
	}
	for _, object := range []func() (*ebpf.CollectionSpec, error){loadBackend, loadTracing} {
		f(object, "row", Row{})
		f(object, "event", wireEvent{})
		f(object, "address", wireAddress{})
		f(object, "place", wirePlace{})
	}
	if rowSize != 128 {
		t.Errorf("a row has %d bytes, want two cache lines", rowSize)
	}
}

// The numbers of the kinds of events are the C's.
func TestKindsAreThoseOfTheC(t *testing.T) {
	for _, object := range []func() (*ebpf.CollectionSpec, error){loadBackend, loadTracing} {
		spec, err := object()
		if err != nil {
			t.Fatal(err)
		}
		var c *btf.Enum
		if err := spec.Types.TypeByName("kind", &c); err != nil {
			t.Fatal(err)
		}
		for _, v := range c.Values {
			if got := Kind(v.Value).String(); !strings.EqualFold(strings.ReplaceAll(got, " ", "_"), v.Name) {
				t.Errorf("%d is %s in C and %q in Go", v.Value, v.Name, got)
			}
		}
	}
}
