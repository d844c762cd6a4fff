"""The console: a web page that shows one or two running devices from their taps, steers them, and shows recordings."""
