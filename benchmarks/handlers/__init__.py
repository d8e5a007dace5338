"""What is measured of ours, in the form in which a worker calls it."""
