"""Histograms, similarity, playlists and reports of many tracks."""
