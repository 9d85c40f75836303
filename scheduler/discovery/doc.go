// Package discovery finds out which instances there are: from a file, from DNS,
// and from the instances themselves (registration).
//
// Each source yields its whole list, every time that it changes, to a function
// that the caller gives; the scheduler joins the lists. A source that fails
// (a broken file, a name server that is away) keeps its last list and says so,
// once a minute and in its Status: nobody loses instances because the finding of
// them broke.
//
// File.Run, DNS.Run and Registry.Run are one goroutine each, which the caller
// starts and waits for. The Registry's other methods may be called from any.
//
// A registration has owners, who keep it by a connection or by time: it ends with
// the last of them.
//
// It neither asks the instances anything nor judges them.
package discovery
