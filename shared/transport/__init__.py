"""The only place with sockets: addresses, a producer's pair, an analyzer's pair."""
