package sigma

import (
	"encoding/binary"
	"hash/maphash"

	"soclab/pkg/event"
)

// A fingerprint stands for the values of some fields. It has 128 bits, so that
// two different ones are not met in practice, and keeps no text of an event.
type fingerprint [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintBytes(b []byte) fingerprint {
	return fingerprint{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
}

// fingerprintOf is that of the values of fields, each of which must be
// present. Text counts without regard to case, as it matches.
func fingerprintOf(v *view, fields []field) (fingerprint, bool) {
	var room [128]byte
	b := room[:0]
	for i := range fields {
		s := fields[i].sources[0]
		if !s.present(v.event) {
			return fingerprint{}, false
		}
		switch s.kind() {
		case event.KindAddress:
			a := event.Field(s).Address(v.event).As16()
			b = append(b, a[:]...)
		case event.KindInteger:
			b = binary.LittleEndian.AppendUint64(b, uint64(event.Field(s).Int(v.event).Value))
		default:
			t := v.text(s, folded)
			b = binary.LittleEndian.AppendUint64(b, uint64(len(t)))
			b = append(b, t...)
		}
	}
	return fingerprintBytes(b), true
}

// with is the fingerprint of a value within a group.
func (k fingerprint) with(value fingerprint) fingerprint {
	var b [32]byte
	for i, n := range [...]uint64{k[0], k[1], value[0], value[1]} {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	return fingerprintBytes(b[:])
}
