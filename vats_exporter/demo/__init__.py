"""A simulated cabinet that speaks the real wire format, for the demo and the tests."""
