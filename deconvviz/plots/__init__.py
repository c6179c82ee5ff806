"""Results as figures and words; no result imports this."""
