"""Who owns which part of the overlay's addresses: pure, and the same at every tier."""
