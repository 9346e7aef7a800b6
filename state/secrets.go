package state

// SecretRow is the name under which a store keeps a named secret, and which the sealed
// value is bound to: apart from the store's own keys.
func SecretRow(name string) string { return "secret:" + name }
