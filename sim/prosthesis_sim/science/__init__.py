"""Recordings as the files of other sciences: NWB and BIDS."""
