// What the binding and every build of the steps agree on: forms, memory, an epoch.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

namespace sklearn_mlp {

// Their numbers are in `sklearn_mlp.compiled.forms`, too. Of those from gelu on the slope is kept,
// of the others it is told from the value.
enum class Activation {
    identity, logistic, tanh, relu, leaky_relu, elu, selu,
    gelu, silu, mish, softplus,
};
enum class Loss {
    softmax_codes, softmax_values, logistic, squared, mean_squared,
    absolute, huber, poisson, gamma,
};
enum class Solver { sgd, nesterov, adam, adamw };

// ?gemm as Fortran has it, columns first.
template <class T>
using Gemm = void (*)(char *, char *, int *, int *, int *, T *, T *, int *, T *, int *, T *, T *, int *);

// Arrays begin with a line of the cache: fewer vectors lie in two. The address of the memory, which
// is larger, is kept before them; what C++ has for it asks for newer systems.
template <class T> struct Lines {
    using value_type = T;
    static constexpr std::size_t LINE = 64;
    Lines() = default;
    template <class U> Lines(const Lines<U> &) {}
    T *allocate(std::size_t n) {
        void *memory = ::operator new(n * sizeof(T) + LINE + sizeof(memory));
        const auto least = reinterpret_cast<std::uintptr_t>(memory) + sizeof(memory);
        const auto begin = (least + LINE - 1) / LINE * LINE;
        std::memcpy(reinterpret_cast<void *>(begin - sizeof(memory)), &memory, sizeof(memory));
        return reinterpret_cast<T *>(begin);
    }
    void deallocate(T *numbers, std::size_t) {
        void *memory;
        std::memcpy(&memory, reinterpret_cast<char *>(numbers) - sizeof(memory), sizeof(memory));
        ::operator delete(memory);
    }
    template <class U> bool operator==(const Lines<U> &) const { return true; }
    template <class U> bool operator!=(const Lines<U> &) const { return false; }
};
template <class T> using Array = std::vector<T, Lines<T>>;

// A network and its solver, for the whole of a fit.
//
// Values of a layer are unit-major, (units, samples), as in the steps of torch: what is done
// element by element runs along the samples.
template <class T> struct Plan {
    Gemm<T> gemm;
    std::vector<int> widths; // features, units of each hidden layer, outputs
    std::vector<Activation> activations; // one per hidden layer
    std::vector<char> is_dropped; // whether features, then each hidden layer, have a mask
    std::vector<T> factors; // what each layer's products are multiplied by
    bool has_scales; // whether each feature is multiplied by a number that is learned
    int batch_size;
    Loss loss;
    double loss_number; // Huber's delta
    bool are_codes; // whether targets are class codes, and not a number for each output
    double off, on; // what 0 and 1, or another class and its own, become as targets
    Solver solver;
    double beta_1, beta_2, epsilon; // of SGD the first is the momentum
    double decay; // AdamW's
    double longest; // what a gradient is clipped to; 0 leaves it
    double bias_rate, scale_rate; // what the rate is multiplied by for biases, and for scales
    T *values, *first, *second; // all weights, all biases, scales; the same of the moments
    T *average; // of the steps, exponential; null for none
    double ema_decay;

    // What a step writes to.
    Array<T> inputs, scaled, targets, gradient, column_max, column_sum, column_more;
    std::vector<double> squares; // of each thread's part of a gradient
    std::vector<int64_t> codes;
    std::vector<Array<T>> kept, hidden, deltas;

    int n_layers() const { return static_cast<int>(widths.size()) - 1; }
};

// The samples of an epoch, and how its steps count.
template <class T> struct Epoch {
    const T *inputs; // (n_all, features), with strides
    int64_t row_stride, column_stride; // in numbers
    const void *targets; // (n_all, outputs) numbers, or n_all class codes
    const int64_t *rows; // which rows, in order; null for all as they lie
    const T *shares; // what each sample counts in its batch, in this order; null: all the same
    const double *weight_sums; // of each batch
    const double *rates, *penalties; // of each batch
    const T *masks; // those of the steps to take, as they were drawn; null for none
    int64_t n_samples;
    int first, last; // which batches
    int64_t step, averaged; // steps before these, and those that the average is of
    int n_threads;
};

// How samples judge a network that is as it is, without dropout.
template <class T> struct Panel {
    const double *weights; // of each sample; null: all the same
    bool is_scored; // whether those that are right are counted
    T *logits; // (n_outputs, n_samples), which are wanted instead; null for none
};

// Sums over samples, by their weights.
struct Judgement {
    double loss = 0, right = 0;
};

// Waits for all threads of an epoch. They spin, since a step takes microseconds, and then let
// others run, in case there are fewer cores than threads.
class Barrier {
  public:
    int n_threads = 1;

    void wait() {
        if (n_threads == 1)
            return;
        const unsigned round = round_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_threads) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
            if (spins > 4000)
                std::this_thread::yield();
    }

  private:
    std::atomic<int> arrived_{0};
    std::atomic<unsigned> round_{0};
};

// One thread's part of an epoch's steps; returns its part of the sum of the samples' losses.
template <class T> using Work = double (*)(Plan<T> &, const Epoch<T> &, Barrier &, int thread);

// One thread's part of judging a network: of the samples, batch by batch.
template <class T>
using Judge = Judgement (*)(Plan<T> &, const Epoch<T> &, const Panel<T> &, Barrier &, int thread);

// What a build offers for a type.
template <class T> struct Functions {
    Work<T> work;
    Judge<T> judge;
};

} // namespace sklearn_mlp
