"""Reading and writing of pictures, data sets, networks, checkpoints and cards."""
