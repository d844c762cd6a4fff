"""Networks, importable because export and scores need them."""
