// Batch interface to a component that Verilator has compiled: rows of inputs in, rows of outputs
// out, one row a clock cycle. `ports.h` is generated for each component and says:
//   INPUTS(X), OUTPUTS(X)   X(member, offset in the row, octets in the row, width in bits)
//   FLAGS(X)                X(index, member) for every output of one bit
//   INPUT_ROW, OUTPUT_ROW   octets of a row; CYCLE_OFFSET: where a row has its cycle number
//   CLOCKED, RESET          1 if the component has clk, rst
//   SAVABLE                 1 if Verilator made its state savable
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "Vtop.h"
#include "ports.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
#if SAVABLE
#include "verilated_save.h"
#endif

#define API extern "C" __attribute__((visibility("default")))

namespace {

constexpr uint64_t PERIOD = 8;  // ns a cycle in a trace

// Bits of a row's field above the port's width; they must be zero.
template <unsigned octets, unsigned width>
inline uint64_t excess(const uint8_t* from) {
    constexpr unsigned last = octets < 8 ? octets : 8;
    constexpr unsigned used = width - (octets - last) * 8;
    if constexpr (used == last * 8) return 0;
    uint64_t value = 0;
    std::memcpy(&value, from + octets - last, last);
    return value >> used;
}

struct Model {
    VerilatedContext context;
    bool is_alone = (context.threads(1), true);  // no worker threads: a process may fork
    Vtop top{&context, "top"};
    uint64_t cycle = 0;  // since the last reset
    uint64_t now = 0;    // in cycles, since the model was made
#if VM_TRACE
    VerilatedVcdC trace;
#endif

    explicit Model(const char* path) {
#if VM_TRACE
        context.traceEverOn(true);
        top.trace(&trace, 99);
        trace.open(path);
#endif
        (void)path;
        clear();
#if CLOCKED
        top.clk = 1;  // the first edge is the first cycle's
#endif
        top.eval();
    }

    ~Model() {
#if VM_TRACE
        trace.close();
#endif
        top.final();
    }

    void clear() {
#define X(member, offset, octets, width) std::memset(&top.member, 0, sizeof top.member);
        INPUTS(X)
#undef X
#if RESET
        top.rst = 0;
#endif
    }

    // Whether every value of the row fits its port; if not, nothing is driven.
    bool load(const uint8_t* row) {
        uint64_t beyond = 0;
#define X(member, offset, octets, width) beyond |= excess<octets, width>(row + offset);
        INPUTS(X)
#undef X
        if (beyond) return false;
#define X(member, offset, octets, width) std::memcpy(&top.member, row + offset, sizeof top.member);
        INPUTS(X)
#undef X
        return true;
    }

    void store(uint8_t* row) {
#define X(member, offset, octets, width)                                              \
    std::memcpy(row + offset, &top.member, sizeof top.member);                        \
    std::memset(row + offset + sizeof top.member, 0, octets - sizeof top.member);
        OUTPUTS(X)
#undef X
        std::memcpy(row + CYCLE_OFFSET, &cycle, sizeof cycle);
    }

    // Run a cycle. Outputs are then those before its edge: of its inputs and the registers.
    void step() {
#if VM_TRACE
        // No registers behind the outputs: `after` runs the edge when they have been read.
        top.eval();
        trace.dump(PERIOD * now);
#if CLOCKED
        top.clk = 0;
#endif
        top.eval();
        trace.dump(PERIOD * now + PERIOD / 2);
#else
        top.clk ^= 1;
        top.eval();
#endif
    }

    void after() {
#if VM_TRACE && CLOCKED
        top.clk = 1;
        top.eval();
#endif
        ++cycle;
        ++now;
    }

    const CData* flag(int32_t index) {
        switch (index) {
#define X(number, member) case number: return &top.member;
            FLAGS(X)
#undef X
        }
        return nullptr;
    }
};

constexpr int MAX_FLAGS = 64;

// Registers, memories and number of the cycle of a model, as octets.
struct Saved {
    std::vector<uint8_t> octets;
    uint64_t cycle = 0;
};

#if SAVABLE
class Writer final : public VerilatedSerialize {
public:
    explicit Writer(Saved& to) : to(to) {}
    void flush() override {
        to.octets.insert(to.octets.end(), m_bufp, m_cp);
        m_cp = m_bufp;
    }

private:
    Saved& to;
};

class Reader final : public VerilatedDeserialize {
public:
    explicit Reader(const Saved& from) : next(from.octets.data()), left(from.octets.size()) {
        m_endp = m_bufp;
    }
    void fill() override {
        const size_t kept = m_endp - m_cp;
        const size_t more = std::min(left, bufferSize() - kept);
        std::memmove(m_bufp, m_cp, kept);
        std::memcpy(m_bufp + kept, next, more);
        m_cp = m_bufp;
        m_endp = m_bufp + kept + more;
        next += more;
        left -= more;
    }

private:
    const uint8_t* next;
    size_t left;
};
#endif

}  // namespace

API Model* model_new(const char* trace) { return new Model(trace); }

API void model_free(Model* model) { delete model; }

API int32_t model_has_reset() { return RESET; }

// Hold reset for one cycle with all inputs zero. Memories keep what they hold.
API void model_reset(Model* model) {
    model->clear();
#if RESET
    model->top.rst = 1;
#endif
    model->step();
    model->after();
    model->clear();
    model->cycle = 0;
}

API int32_t model_is_savable() { return SAVABLE; }

API Saved* model_save(Model* model) {
    Saved* saved = new Saved;
#if SAVABLE
    Writer writer{*saved};
    writer << model->top;
    writer.close();
#endif
    saved->cycle = model->cycle;
    return saved;
}

API void model_restore(Model* model, const Saved* saved) {
#if SAVABLE
    Reader reader{*saved};
    reader >> model->top;
#endif
    model->cycle = saved->cycle;
}

API void model_forget(Saved* saved) { delete saved; }

API void model_flush(Model* model) {
#if VM_TRACE
    model->trace.flush();
#endif
    (void)model;
}

// Run until the input rows end, the output rows are full, or an input row has a value that does not
// fit its port. Keep an output row if any of the `count` flags is set, or always if there is none.
// Return the number of kept rows; `*done` is the number of input rows that were run.
API uint64_t model_run(Model* model, const uint8_t* input, uint64_t rows, const int32_t* when,
                       int32_t count, uint8_t* output, uint64_t capacity, uint64_t* done) {
    const CData* flags[MAX_FLAGS];
    for (int32_t i = 0; i < count; ++i) flags[i] = model->flag(when[i]);
    uint64_t kept = 0, row = 0;
    for (; row < rows && kept < capacity; ++row, input += INPUT_ROW) {
        if (!model->load(input)) break;
        model->step();
        bool is_kept = count == 0;
        for (int32_t i = 0; i < count; ++i) is_kept |= *flags[i];
        if (is_kept) {
            model->store(output);
            output += OUTPUT_ROW;
            ++kept;
        }
        model->after();
    }
    *done = row;
    return kept;
}
