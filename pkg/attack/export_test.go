package attack

// For the tests, which see what the table holds and which error it is.
var (
	ErrUnknown = errUnknown
	ErrRevoked = errRevoked
)

func Techniques() []Technique { return table().techniques }
