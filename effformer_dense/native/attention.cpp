// Attention with a relative-position bias and talking heads on a CPU, in one pass over a few queries at a time:
//
//     out = mix_weights(softmax(mix_scores(scale * q @ k) + bias)) @ v
//
// with the letters of backbones/chunked.py: n heads, Q queries, N keys, d and e their widths. Scores of a block of queries
// are written once and stay in the core's cache until their product with the values; torch's operators pass over them
// five times, and the bias of every pair is written out for them.
//
// Keys and values are put in panels first, once per call. Then each thread takes block after block of the queries: all
// heads of it where heads are mixed, else one.

#include <atomic>
#include <cmath>
#include <cstring>

#include "products.h"

namespace {

// Talking heads are mixed in registers, eight of them: what every published network has.
constexpr int MIXED_HEADS = 8;
// Queries of a block, and bytes that its scores take at most, unless that is less than a block of products: half of a
// core's second-level cache on most machines. From an eighth of a megabyte to two it makes no difference of note.
constexpr long MAX_QUERIES = 96, SCORE_BYTES = 512 * 1024;

// Of one operand: where it starts, and numbers from one image, token and head to the next; the width is dense.
struct Grid {
    float *first;
    long image, token, head;

    float *at(long i, long t, long h) const { return first + i * image + t * token + h * head; }
};

}  // namespace

// What library.py fills in; it has the same fields in the same order.
struct Attention {
    Grid q, k, v, out;
    const float *bias;                      // (n, Q, N) or (n, 2h - 1, 2w - 1)
    const float *mix_scores, *mix_weights;  // (n, n) each, or both null
    long images, heads, key_width, value_width;
    long height, width, stride;  // of the grid of keys, and from one query to the next in its cells
    long bias_per_pair;
    float scale;
};

namespace {

// What follows from it.
struct Plan {
    const Attention &attention;
    long query_columns, queries, tokens;
    long padded;  // tokens rounded up to whole panels
    long heads;   // of a block
    long block;   // queries of it
    long key_floats, value_floats, tile_floats;  // of a head, a head, a thread

    explicit Plan(const Attention &given) : attention(given) {
        query_columns = (attention.width + attention.stride - 1) / attention.stride;
        queries = query_columns * ((attention.height + attention.stride - 1) / attention.stride);
        tokens = attention.height * attention.width;
        padded = (tokens + PANEL - 1) / PANEL * PANEL;
        heads = attention.mix_scores ? attention.heads : 1;
        const long fitting = SCORE_BYTES / static_cast<long>(sizeof(float)) / (heads * padded) / BLOCK_ROWS * BLOCK_ROWS;
        block = fitting < BLOCK_ROWS ? BLOCK_ROWS : fitting < MAX_QUERIES ? fitting : MAX_QUERIES;
        key_floats = padded * attention.key_width;
        value_floats = tokens * attention.value_width;
        tile_floats = heads * block * padded + bias_floats();
    }

    // Heads of all images, whose keys and values are packed.
    long packed() const { return attention.images * attention.heads; }

    // A row of the bias; rows of its grid are written a vector at a time, past their ends.
    long bias_floats() const { return padded + LANES; }
};

struct Work {
    const Plan &plan;
    float *keys, *values, *tiles;
    std::atomic<long> next{0}, threads{0};

    Work(const Plan &given, float *memory)
        : plan(given), keys(memory), values(keys + given.packed() * given.key_floats),
          tiles(values + given.packed() * given.value_floats) {}
};

// Keys of a head, turned: (panels, d, PANEL). Those that fill up the last panel are zero.
void pack_keys(const Plan &plan, long image, long head, float *to) {
    const Attention &attention = plan.attention;
    for (long panel = 0; panel < plan.padded; panel += PANEL, to += PANEL * attention.key_width)
        for (long c = 0; c < PANEL; c++) {
            const bool there = panel + c < plan.tokens;
            const float *key = there ? attention.k.at(image, panel + c, head) : nullptr;
            for (long i = 0; i < attention.key_width; i++) to[i * PANEL + c] = there ? key[i] : 0;
        }
}

// Values of a head: (e / PANEL, N, PANEL).
void pack_values(const Plan &plan, long image, long head, float *to) {
    for (long column = 0; column < plan.attention.value_width; column += PANEL)
        for (long token = 0; token < plan.tokens; token++, to += PANEL) {
            const float *value = plan.attention.v.at(image, token, head) + column;
            for (int c = 0; c < PANEL; c += LANES) store(to + c, load(value + c));
        }
}

// Bias of one query for all keys. Of offsets it is a window of the grid, whose rows lie apart.
void read_bias(const Plan &plan, long head, long query, float *to) {
    const Attention &attention = plan.attention;
    if (attention.bias_per_pair) {
        std::memcpy(to, attention.bias + (head * plan.queries + query) * plan.tokens, plan.tokens * sizeof(float));
    } else {
        const long y = query / plan.query_columns * attention.stride, x = query % plan.query_columns * attention.stride;
        const long across = 2 * attention.width - 1;
        const long top = head * (2 * attention.height - 1) + attention.height - 1 - y;
        const float *row = attention.bias + top * across + attention.width - 1 - x;
        for (long r = 0; r < attention.height; r++, row += across, to += attention.width)
            if (r + 1 < attention.height && attention.width >= LANES)  // what is read past the end lies in the next row
                for (long c = 0; c < attention.width; c += LANES) store(to + c, load(row + c));
            else
                std::memcpy(to, row, attention.width * sizeof(float));
    }
}

// Sums over heads, in place: head o becomes the sum of matrix[o][h] times head h.
void mix(const float *matrix, float *scores, long head_stride, long length) {
    for (long j = 0; j < length; j += LANES) {
        Vector heads[MIXED_HEADS];
        for (int h = 0; h < MIXED_HEADS; h++) heads[h] = load(scores + h * head_stride + j);
        for (int o = 0; o < MIXED_HEADS; o++) {
            Vector total = heads[0] * matrix[o * MIXED_HEADS];
            for (int h = 1; h < MIXED_HEADS; h++) total += heads[h] * matrix[o * MIXED_HEADS + h];
            store(scores + o * head_stride + j, total);
        }
    }
}

// Softmax of scores plus bias, in place and without its division: the result is what to multiply with.
float exponentials(float *scores, const float *bias, long length) {
    Vector top = filled(-INFINITY);
    for (long j = 0; j < length; j += LANES) {
        const Vector biased = load(scores + j) + load(bias + j);
        store(scores + j, biased);
        top = biased > top ? biased : top;
    }
    const float most = largest(top);
    Vector total{};
    for (long j = 0; j < length; j += LANES) {
        const Vector share = exponential(load(scores + j) - most);
        store(scores + j, share);
        total += share;
    }
    return 1 / sum(total);
}

// Some queries of an image, of the heads from `head` on.
struct Block {
    long image, head, first, count;
};

// Scores to weights, for the query that is `row` of the block; `factors` are left for the products where heads are not
// mixed.
void weigh(const Plan &plan, const Block &block, long row, float *scores, float *bias, float *factors) {
    const long head_stride = plan.block * plan.padded;
    if (plan.attention.mix_scores) mix(plan.attention.mix_scores, scores, head_stride, plan.padded);
    float mixed[MIXED_HEADS * MIXED_HEADS];
    for (long h = 0; h < plan.heads; h++) {
        read_bias(plan, block.head + h, block.first + row, bias);
        for (long j = plan.tokens; j < plan.padded; j++) bias[j] = -INFINITY;  // no key
        const float factor = exponentials(scores + h * head_stride, bias, plan.padded);
        factors[row] = plan.attention.mix_weights ? 1 : factor;
        if (plan.attention.mix_weights)
            for (int o = 0; o < MIXED_HEADS; o++)
                mixed[o * MIXED_HEADS + h] = plan.attention.mix_weights[o * MIXED_HEADS + h] * factor;
    }
    if (plan.attention.mix_weights) mix(mixed, scores, head_stride, plan.padded);
}

void attend(const Work &work, const Block &block, float *tile) {
    const Plan &plan = work.plan;
    const Attention &attention = plan.attention;
    const long head_stride = plan.block * plan.padded, at = block.image * attention.heads + block.head;
    float *bias = tile + plan.heads * head_stride;
    float factors[MAX_QUERIES];
    for (long r = 0; r < block.count; r++) factors[r] = attention.scale;
    for (long h = 0; h < plan.heads; h++) {
        const Rows q{attention.q.at(block.image, block.first, block.head + h), attention.q.token};
        const float *keys = work.keys + (at + h) * plan.key_floats;
        for (long j = 0; j < plan.padded; j += PANEL, keys += PANEL * attention.key_width)
            multiply(q, block.count, keys, attention.key_width, {tile + h * head_stride + j, plan.padded}, factors);
    }
    for (long r = 0; r < block.count; r++) weigh(plan, block, r, tile + r * plan.padded, bias, factors);
    for (long h = 0; h < plan.heads; h++) {
        float *out = attention.out.at(block.image, block.first, block.head + h);
        const float *values = work.values + (at + h) * plan.value_floats;
        for (long e = 0; e < attention.value_width; e += PANEL, values += PANEL * plan.tokens)
            multiply({tile + h * head_stride, plan.padded}, block.count, values, plan.tokens,
                     {out + e, attention.out.token}, factors);
    }
}

// Both are run by every thread at once.
void pack_all(void *argument) {
    Work &work = *static_cast<Work *>(argument);
    const Plan &plan = work.plan;
    for (long i; (i = work.next.fetch_add(1)) < plan.packed();) {
        pack_keys(plan, i / plan.attention.heads, i % plan.attention.heads, work.keys + i * plan.key_floats);
        pack_values(plan, i / plan.attention.heads, i % plan.attention.heads, work.values + i * plan.value_floats);
    }
}

void attend_all(void *argument) {
    Work &work = *static_cast<Work *>(argument);
    const Plan &plan = work.plan;
    const long blocks = (plan.queries + plan.block - 1) / plan.block, groups = plan.attention.heads / plan.heads;
    float *tile = work.tiles + work.threads.fetch_add(1) * plan.tile_floats;
    for (long i; (i = work.next.fetch_add(1)) < plan.attention.images * groups * blocks;) {
        const long first = i % blocks * plan.block, left = plan.queries - first;
        attend(work, {i / blocks / groups, i / blocks % groups * plan.heads, first, left < plan.block ? left : plan.block},
               tile);
    }
}

}  // namespace

extern "C" {

// Whether the C++ and the Python side were written together: a sum of the sources.
unsigned attention_sources() { return SOURCES; }

// A width of values has to be a multiple of this.
long attention_panel() { return PANEL; }

// Numbers of memory that attention_run wants.
long attention_memory(const Attention *attention, int threads) {
    const Plan plan(*attention);
    return plan.packed() * (plan.key_floats + plan.value_floats) + threads * plan.tile_floats;
}

// `in_parallel` is GOMP_parallel, of the OpenMP that torch uses: a second one would have threads of its own, which would
// fight with those over the cores.
void attention_run(const Attention *attention, float *memory,
                   void (*in_parallel)(void (*)(void *), void *, unsigned, unsigned), int threads) {
    const Plan plan(*attention);
    Work work(plan, memory);
    void (*const steps[])(void *) = {pack_all, attend_all};
    for (auto step : steps) {
        work.next = 0;
        if (threads > 1)
            in_parallel(step, &work, threads, 0);
        else
            step(&work);
    }
}
}
