"""Golden kits: expected values of every step of a forward pass, and the check of a port by them."""
