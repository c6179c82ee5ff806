"""What the pages are made of: cached loaders, pickers bound to the URL, the grid, error display."""
