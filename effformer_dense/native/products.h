// Matrix products whose right-hand side lies in panels: PANEL columns of it, row after row.
#pragma once

#include "vectors.h"

constexpr int PANEL = BLOCK_VECTORS * LANES;

// Rows of numbers in memory.
struct Rows {
    const float *first;
    long stride;

    const float *operator[](long row) const { return first + row * stride; }
};

struct WritableRows {
    float *first;
    long stride;

    float *operator[](long row) const { return first + row * stride; }
};

// Terms that are summed in a register before they are added to the rest: long sums round away less in parts.
constexpr long PART = 256;

// out[r] (+)= factors[r] * (left[r] @ panel) for R rows, whose sums stay in registers.
template <int R>
static inline void multiply_block(Rows left, const float *panel, long depth, WritableRows out, const float *factors,
                                  bool add) {
    Vector sums[R][BLOCK_VECTORS] = {};
    for (long i = 0; i < depth; i++, panel += PANEL) {
        Vector right[BLOCK_VECTORS];
        for (int c = 0; c < BLOCK_VECTORS; c++) right[c] = load(panel + c * LANES);
        for (int r = 0; r < R; r++)
            for (int c = 0; c < BLOCK_VECTORS; c++) sums[r][c] += left[r][i] * right[c];
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < BLOCK_VECTORS; c++) {
            float *to = out[r] + c * LANES;
            const Vector product = sums[r][c] * factors[r];
            store(to, add ? load(to) + product : product);
        }
}

// out = diagonal(factors) @ left @ panel, for any number of rows and terms.
static inline void multiply(Rows left, long rows, const float *panel, long depth, WritableRows out,
                            const float *factors) {
    for (long start = 0; start < depth; start += PART) {
        const Rows part{left.first + start, left.stride};
        const long terms = depth - start < PART ? depth - start : PART;
        long r = 0;
        for (; r + BLOCK_ROWS <= rows; r += BLOCK_ROWS)
            multiply_block<BLOCK_ROWS>({part[r], part.stride}, panel, terms, {out[r], out.stride}, factors + r, start > 0);
        for (; r < rows; r++)
            multiply_block<1>({part[r], part.stride}, panel, terms, {out[r], out.stride}, factors + r, start > 0);
        panel += terms * PANEL;
    }
}
