"""Results as figures, sheets and words; no result imports this."""
