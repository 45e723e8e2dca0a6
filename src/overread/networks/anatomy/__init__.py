"""What a network is made of: layers and what they read, blocks and the ways between them. Shapes only, no values."""
