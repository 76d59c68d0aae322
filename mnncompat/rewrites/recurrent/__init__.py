"""Rewrites of RNN, GRU and LSTM."""
