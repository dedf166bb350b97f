"""Tests of the comparison with peers. Of the peers themselves, only those in Python are started."""
