"""What is read and written: pictures, data sets, networks, checkpoints and cards."""
