"""C++ for CPUs, compiled as the package is installed, where there is a compiler; without, torch's operators compute."""
