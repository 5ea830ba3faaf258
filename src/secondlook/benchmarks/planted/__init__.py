"""The planted language: invented questions in BBQ's file format, to calibrate the instrument on."""
