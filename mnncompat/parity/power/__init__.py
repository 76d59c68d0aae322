"""What a proof would have caught: faults planted in the reference, and inputs that show them."""
