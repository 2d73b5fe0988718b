"""Tools around the cabinet: recordings, inspection, anonymous copies."""
