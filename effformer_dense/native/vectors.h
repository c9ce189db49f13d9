// Vectors of single precision, as wide as the instruction set that this file is compiled for, and their exponential.
#pragma once

// Lanes of a vector; rows and vectors per row of the block of a matrix product that the registers hold at once: with the
// operands of one step, as many as there are.
#if defined(__AVX512F__)
constexpr int LANES = 16, BLOCK_ROWS = 6, BLOCK_VECTORS = 4;
#elif defined(__AVX2__)
constexpr int LANES = 8, BLOCK_ROWS = 6, BLOCK_VECTORS = 2;
#else  // 128 bits, which every 64-bit Arm processor has
constexpr int LANES = 4, BLOCK_ROWS = 6, BLOCK_VECTORS = 4;
#endif

// GCC's vectors, which Clang has as well. They are read and written at any address.
typedef float Vector __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));
typedef int IntVector __attribute__((vector_size(LANES * sizeof(int)), aligned(sizeof(int))));

static inline Vector load(const float *from) { return *reinterpret_cast<const Vector *>(from); }
static inline void store(float *to, Vector values) { *reinterpret_cast<Vector *>(to) = values; }
static inline Vector filled(float value) { return Vector{} + value; }

static inline float sum(Vector values) {
    float total = 0;
    for (int lane = 0; lane < LANES; lane++) total += values[lane];
    return total;
}

static inline float largest(Vector values) {
    float top = values[0];
    for (int lane = 1; lane < LANES; lane++) top = values[lane] > top ? values[lane] : top;
    return top;
}

// e^x for x <= 0, to two units in the last place; what is smaller than e^-87 is e^-87, near the smallest normal number.
// NaN stays NaN: no comparison with it holds.
static inline Vector exponential(Vector x) {
    const Vector lowest = filled(-87);
    x = x < lowest ? lowest : x;
    // x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to a whole number, taking it off gives that back;
    // ln 2 is taken off in two parts, of which the first has few enough bits that its products with n are exact.
    const Vector n = (x * 1.44269504f + 0x1.8p23f) - 0x1.8p23f;
    const Vector r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    // (e^r - 1 - r) / r^2 by the polynomial of degree 4 whose largest error in e^r is least: 3e-9 of it.
    Vector tail = r * 0x1.6a2434p-10f + 0x1.1239e2p-7f;
    tail = tail * r + 0x1.5558f2p-5f;
    tail = tail * r + 0x1.555492p-3f;
    tail = tail * r + 0x1.fffffcp-2f;
    const Vector power = tail * r * r + r + 1;
    const IntVector exponent = (__builtin_convertvector(n, IntVector) + 127) << 23;
    return power * (Vector)exponent;  // its bits
}
