"""Memory planned ahead."""
