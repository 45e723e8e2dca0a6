"""The trial: what a method must do before its maps may be shown."""
