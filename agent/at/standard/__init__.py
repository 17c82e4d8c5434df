"""What V.250, 27.007 and 27.005 define: parsers and scales."""
