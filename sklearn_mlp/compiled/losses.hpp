// The losses of a batch: the value of each sample's, and the gradient with respect to its logits.
//
// The same formulas as in `sklearn_mlp.losses`, which say where they come from.

// Logits are turned into gradients in place. All are unit-major, with `lead` from one output to
// the next.
template <class T> struct Losses {
    T *logits; // (n_outputs, n)
    const T *targets; // (n_outputs, n)
    const int64_t *codes; // (n,)
    T *losses; // (n,)
    T *scratch, *more; // (n,)
    int lead, n_outputs, n;

    T *output(int k) const { return logits + int64_t(k) * lead; }
    const T *target(int k) const { return targets + int64_t(k) * lead; }

    void compute(Loss loss, T number) const {
        switch (loss) {
        case Loss::softmax_codes: return softmax_codes();
        case Loss::softmax_values: return softmax_values();
        case Loss::logistic: return logistic();
        case Loss::squared:
            return sum_of_outputs(T(1) / T(n_outputs), [](T z, T t, T &slope) {
                slope = z - t;
                return T(0.5) * slope * slope;
            });
        case Loss::mean_squared: {
            const T twice = T(2) / T(n_outputs);
            return sum_of_outputs(T(1) / T(n_outputs), [=](T z, T t, T &slope) {
                const T r = z - t;
                slope = r * twice;
                return r * r;
            });
        }
        case Loss::absolute:
            return sum_of_outputs(T(1), [](T z, T t, T &slope) {
                const T r = z - t;
                // NaN has no sign, and stays.
                slope = r > T(0) ? T(1) : r < T(0) ? T(-1) : r;
                return elementary::absolute(r);
            });
        case Loss::huber:
            return sum_of_outputs(T(1), [=](T z, T t, T &slope) {
                const T r = z - t, size = elementary::absolute(r);
                const T near = size > number ? number : size;
                slope = r > number ? number : r < -number ? -number : r;
                return near * (size - T(0.5) * near);
            });
        case Loss::poisson:
            return sum_of_outputs(T(1), [](T z, T t, T &slope) {
                const T mean = elementary::exp(z);
                slope = mean - t;
                const T scaled = t * elementary::log(t / mean);
                return (t == T(0) ? T(0) : scaled) - t + mean;
            });
        case Loss::gamma:
            return sum_of_outputs(T(1), [](T z, T t, T &slope) {
                const T ratio = t * elementary::exp(-z);
                slope = T(1) - ratio;
                const T log_ratio = z - elementary::log(t);
                return elementary::exp(-log_ratio) + log_ratio - T(1);
            });
        }
    }

    // A loss that is a sum over the outputs, times a factor.
    template <class Term> void sum_of_outputs(T factor, Term term) const {
        for (int c = 0; c < n; ++c)
            losses[c] = T(0);
        for (int k = 0; k < n_outputs; ++k) {
            T *__restrict z = output(k);
            const T *__restrict t = target(k);
            T *__restrict sum = losses;
            for (int c = 0; c < n; ++c) {
                T slope;
                sum[c] += term(z[c], t[c], slope);
                z[c] = slope;
            }
        }
        for (int c = 0; c < n; ++c)
            losses[c] *= factor;
    }

    // Leaves exp(logits - largest) in the logits, the largest in scratch, and the sums in losses.
    void exponentiate() const {
        T *__restrict largest = scratch;
        T *__restrict sum = losses;
        for (int c = 0; c < n; ++c) {
            largest[c] = output(0)[c];
            sum[c] = T(0);
        }
        for (int k = 1; k < n_outputs; ++k) {
            const T *__restrict z = output(k);
            for (int c = 0; c < n; ++c)
                largest[c] = z[c] > largest[c] ? z[c] : largest[c];
        }
        for (int k = 0; k < n_outputs; ++k) {
            T *__restrict z = output(k);
            for (int c = 0; c < n; ++c) {
                z[c] = elementary::exp(z[c] - largest[c]);
                sum[c] += z[c];
            }
        }
    }

    void softmax_codes() const {
        constexpr T epsilon = std::numeric_limits<double>::epsilon();
        const T least = -std::log1p(-double(epsilon)), most = -std::log(double(epsilon));
        exponentiate();
        T *__restrict sum = losses;
        T *__restrict inverse = scratch;
        for (int c = 0; c < n; ++c)
            inverse[c] = T(1) / sum[c];
        for (int k = 0; k < n_outputs; ++k) {
            T *__restrict z = output(k);
            for (int c = 0; c < n; ++c)
                z[c] *= inverse[c];
        }
        // Where the probability is too small to be one, its logarithm is the largest loss.
        for (int c = 0; c < n; ++c) {
            T &of_class = output(static_cast<int>(codes[c]))[c];
            sum[c] = of_class;
            of_class -= T(1);
        }
        for (int c = 0; c < n; ++c) {
            const T value = -elementary::log(sum[c]);
            sum[c] = value < least ? least : value > most ? most : value;
        }
    }

    void softmax_values() const {
        // -sum(t log(p)) = log(sum) + largest - sum(t z), since the targets sum to 1.
        T *__restrict dot = more;
        for (int c = 0; c < n; ++c)
            dot[c] = T(0);
        for (int k = 0; k < n_outputs; ++k) {
            const T *__restrict z = output(k), *__restrict t = target(k);
            for (int c = 0; c < n; ++c)
                dot[c] += t[c] * z[c];
        }
        exponentiate();
        T *__restrict sum = losses;
        for (int k = 0; k < n_outputs; ++k) {
            T *__restrict z = output(k);
            const T *__restrict t = target(k);
            for (int c = 0; c < n; ++c)
                z[c] = z[c] / sum[c] - t[c];
        }
        for (int c = 0; c < n; ++c)
            sum[c] = elementary::log(sum[c]) + scratch[c] - dot[c];
    }

    void logistic() const {
        constexpr double epsilon = std::numeric_limits<double>::epsilon();
        const T most = -std::log(epsilon);
        sum_of_outputs(T(1), [=](T z, T t, T &slope) {
            const T p = elementary::logistic(z);
            slope = p - t;
            if constexpr (sizeof(T) == 8) {
                // scikit-learn's formula: near 1 it is the rounding of 1 - p that decides.
                const T low = T(epsilon), high = T(1) - T(epsilon);
                const T q = p < low ? low : p > high ? high : p;
                const T of_yes = t * elementary::log(q), of_no = (T(1) - t) * elementary::log(T(1) - q);
                return -(of_yes + of_no);
            } else {
                const T of_yes = elementary::softplus(-z), of_no = elementary::softplus(z);
                const T yes = of_yes > most ? most : of_yes, no = of_no > most ? most : of_no;
                return no + t * (yes - no);
            }
        });
    }
};
