package config

import (
	"encoding/json"
	"strings"
)

// Service is what the managed service's JSON of engine instances says of them.
type Service struct {
	Group, Name string
	Port        int
	Model       string // "": not said
}

// ReadService reads such a file.
func ReadService(path string) (*Service, error) {
	data, err := readFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	var file struct {
		Metadata struct{ Type, Group, Name string }
		Queue    *struct {
			Source, Sink json.RawMessage
		}
		Containers []struct {
			Port   int
			Script string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, &Error{File: path, Message: err.Error()}
	}
	wrong := func(key, message string) (*Service, error) {
		return nil, &Error{File: path, Key: key, Message: message}
	}
	switch {
	case file.Metadata.Type == routerType:
		return wrong("metadata.type", "this describes a router: give it to penstock serve -c")
	case file.Metadata.Type == "Async", file.Queue != nil:
		return wrong("metadata.type", "a service queue may not be in a router's group: two schedulers would feed one engine")
	case len(file.Containers) == 0 || file.Containers[0].Port < 1 || file.Containers[0].Port > 65535:
		return wrong("containers", "need the port of the first container, or --instance URL")
	}
	s := &Service{Group: file.Metadata.Group, Name: file.Metadata.Name, Port: file.Containers[0].Port}
	words := strings.Fields(file.Containers[0].Script)
	for n, w := range words {
		if model, ok := strings.CutPrefix(w, "--served-model-name="); ok {
			s.Model = model
		} else if w == "--served-model-name" && n+1 < len(words) {
			s.Model = words[n+1]
		}
	}
	return s, nil
}

// ReadToken reads a file that holds one token or key.
func ReadToken(path string) (string, error) { return readKeyFile(value{}, path) }
