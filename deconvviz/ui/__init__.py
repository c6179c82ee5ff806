"""Parts of the pages: cached loaders, pickers bound to the URL, the grid, error display."""
