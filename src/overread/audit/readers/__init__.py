"""How far readers agree, and one reference standard made of their reads."""
