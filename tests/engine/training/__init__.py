"""Tests of trainings that are stopped and gone on with."""
