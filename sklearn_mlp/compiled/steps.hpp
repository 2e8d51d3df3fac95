// The steps of an epoch: gather, forward, gradient of the loss, backward, penalty, update.
//
// Included once for each kind of processor, in a namespace of its own. With n threads each takes
// a slice of the samples forwards and backwards, and then some units of each layer, whose weights'
// gradients it computes from all samples and whose weights it changes: nothing is summed over
// threads but the epoch's loss and the length of a gradient, in the threads' order.

#include "elementary.hpp"

namespace {

#include "activations.hpp"
#include "losses.hpp"

char no[] = "N", yes[] = "T";

// Reductions are written in lanes, because the compiler may not reorder a sum by itself.
constexpr int LANES = 32;

// Up to so many features a batch is laid out feature-major.
constexpr int FEW_FEATURES = 32;

template <class T, class Term> inline T sum_of(int64_t n, Term term) {
    T lanes[LANES] = {};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; ++lane)
            lanes[lane] += term(i + lane);
    for (int lane = 0; i < n; ++i, ++lane)
        lanes[lane] += term(i);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; ++lane)
            lanes[lane] += lanes[lane + half];
    return lanes[0];
}

// Long sums go on in double.
template <class T, class Term> inline double long_sum_of(int64_t n, Term term) {
    double sum = 0;
    constexpr int64_t block = 4096;
    for (int64_t start = 0; start < n; start += block)
        sum += sum_of<T>(n - start < block ? n - start : block,
                         [&](int64_t i) { return term(start + i); });
    return sum;
}

// One batch, as one thread sees it: its slice of samples, and its share of each layer's units.
template <class T> class Worker {
  public:
    Worker(Plan<T> &plan, const Epoch<T> &epoch, Barrier &barrier, int thread)
        : plan_(plan), epoch_(epoch), barrier_(barrier), thread_(thread),
          n_layers_(plan.n_layers()), n_outputs_(plan.widths[plan.n_layers()]),
          masks_(epoch.masks) {}

    // Takes all steps; returns this thread's part of the sum of the losses.
    double run() {
        int64_t step = epoch_.step;
        averaged_ = epoch_.averaged;
        for (int batch = epoch_.first; batch < epoch_.last; ++batch) {
            begin(batch);
            // A batch whose weights are all 0 is as if it were not there.
            if (epoch_.weight_sums[batch] != 0) {
                share_ = static_cast<T>(1 / epoch_.weight_sums[batch]);
                shares_ = epoch_.shares ? epoch_.shares + start_ : nullptr;
                gather();
                forward();
                lose();
                backward();
                barrier_.wait();
                ++averaged_;
                update(epoch_.rates[batch], epoch_.penalties[batch], ++step);
                barrier_.wait();
                masks_ += masks_before(n_layers_);
            }
        }
        return total_;
    }

    // Goes through samples by which the network is judged; returns what this thread found.
    Judgement judge(const Panel<T> &panel) {
        Judgement found;
        for (int batch = epoch_.first; batch < epoch_.last; ++batch) {
            begin(batch);
            gather();
            forward();
            if (count_)
                judge_slice(panel, found);
            // The slices of a smaller batch lie elsewhere.
            barrier_.wait();
        }
        return found;
    }

  private:
    Plan<T> &plan_;
    const Epoch<T> &epoch_;
    Barrier &barrier_;
    const int thread_, n_layers_, n_outputs_;
    int lead_ = 0; // from one unit's values to the next one's
    int64_t start_ = 0; // of the batch, in the epoch
    int size_ = 0; // of the batch
    int begin_ = 0, count_ = 0; // the slice
    T share_ = 0; // what each sample counts
    const T *shares_ = nullptr; // or each its own
    bool is_feature_major_ = false;
    const T *inputs_ = nullptr;
    const T *masks_; // of the batch
    double total_ = 0;
    int64_t averaged_ = 0; // steps that the average is of, with this one

    void begin(int batch) {
        start_ = int64_t(batch) * plan_.batch_size;
        const int64_t left = epoch_.n_samples - start_;
        size_ = static_cast<int>(left < plan_.batch_size ? left : plan_.batch_size);
        lead_ = size_;
        begin_ = static_cast<int>(int64_t(size_) * thread_ / barrier_.n_threads);
        count_ = static_cast<int>(int64_t(size_) * (thread_ + 1) / barrier_.n_threads) - begin_;
    }

    // The masks of a batch lie as they were drawn: of the features first, then of each layer,
    // (units, size).
    int64_t masks_before(int place) const {
        int64_t count = 0;
        for (int before = 0; before < place; ++before)
            if (plan_.is_dropped[before])
                count += int64_t(plan_.widths[before]) * size_;
        return count;
    }

    const T *mask_of(int place) const {
        return masks_ && plan_.is_dropped[place] ? masks_ + masks_before(place) : nullptr;
    }

    int64_t row(int sample) const {
        return epoch_.rows ? epoch_.rows[start_ + sample] : start_ + sample;
    }

    void gather() {
        gather_inputs();
        if (!plan_.are_codes)
            return gather_numbers();
        const auto *codes = static_cast<const int64_t *>(epoch_.targets);
        if (plan_.loss == Loss::softmax_codes) {
            for (int c = begin_; c < begin_ + count_; ++c)
                plan_.codes[c] = codes[row(c)];
            return;
        }
        const T off = static_cast<T>(plan_.off), on = static_cast<T>(plan_.on);
        for (int k = 0; k < n_outputs_; ++k)
            for (int c = begin_; c < begin_ + count_; ++c)
                plan_.targets[int64_t(k) * lead_ + c] = codes[row(c)] == k ? on : off;
    }

    void gather_numbers() {
        const auto *targets = static_cast<const T *>(epoch_.targets);
        const T off = static_cast<T>(plan_.off), width = static_cast<T>(plan_.on - plan_.off);
        for (int c = begin_; c < begin_ + count_; ++c)
            for (int k = 0; k < n_outputs_; ++k)
                plan_.targets[int64_t(k) * lead_ + c] = targets[row(c) * n_outputs_ + k] * width + off;
    }

    // Of few features feature-major, which makes the first weight's gradient a product along the
    // samples; of many as they lie, a row in one piece.
    void gather_inputs() {
        const int n_features = plan_.widths[0];
        const T *mask = mask_of(0);
        is_feature_major_ = n_features <= FEW_FEATURES || mask;
        const bool are_rows_whole = epoch_.column_stride == 1 && !is_feature_major_;
        if (are_rows_whole && !epoch_.rows && epoch_.row_stride == n_features) {
            inputs_ = epoch_.inputs + start_ * n_features;
            return;
        }
        T *inputs = plan_.inputs.data();
        inputs_ = inputs;
        for (int c = begin_; c < begin_ + count_; ++c) {
            const T *from = epoch_.inputs + row(c) * epoch_.row_stride;
            if (are_rows_whole) {
                std::memcpy(inputs + int64_t(c) * n_features, from, n_features * sizeof(T));
                continue;
            }
            const int64_t unit = is_feature_major_ ? lead_ : 1, sample = is_feature_major_ ? 1 : n_features;
            for (int j = 0; j < n_features; ++j)
                inputs[j * unit + c * sample] = from[j * epoch_.column_stride];
        }
        if (mask)
            for (int j = 0; j < n_features; ++j)
                for (int c = begin_; c < begin_ + count_; ++c)
                    inputs[int64_t(j) * lead_ + c] *= mask[int64_t(j) * lead_ + c];
    }

    void gemm(char *of_a, char *of_b, int m, int n, int k, const T *a, int lda, const T *b,
              int ldb, T *c, int ldc) const {
        T one = 1, zero = 0;
        plan_.gemm(of_a, of_b, &m, &n, &k, &one, const_cast<T *>(a), &lda, const_cast<T *>(b),
                   &ldb, &zero, c, &ldc);
    }

    int64_t weight_place(int layer) const {
        int64_t place = 0;
        for (int before = 0; before < layer; ++before)
            place += int64_t(plan_.widths[before]) * plan_.widths[before + 1];
        return place;
    }

    int64_t bias_place(int layer) const {
        int64_t place = weight_place(n_layers_);
        for (int before = 0; before < layer; ++before)
            place += plan_.widths[before + 1];
        return place;
    }

    T *values_of(int layer) const {
        return layer == n_layers_ - 1 ? plan_.deltas[layer].data() : plan_.kept[layer].data();
    }

    const T *hidden_of(int layer) const {
        return (plan_.hidden[layer].empty() ? plan_.kept : plan_.hidden)[layer].data();
    }

    // values = weight @ inputs, for the slice; the bias comes with what is done to them.
    void forward() {
        if (count_ == 0)
            return;
        for (int layer = 0; layer < n_layers_; ++layer) {
            const int n_in = plan_.widths[layer], n_out = plan_.widths[layer + 1];
            const T *weight = plan_.values + weight_place(layer);
            T *out = values_of(layer) + begin_;
            if (layer == 0 && !is_feature_major_)
                gemm(yes, no, count_, n_out, n_in, inputs_ + int64_t(begin_) * n_in, n_in, weight,
                     n_in, out, lead_);
            else
                gemm(no, no, count_, n_out, n_in,
                     (layer == 0 ? inputs_ : hidden_of(layer - 1)) + begin_, lead_, weight, n_in,
                     out, lead_);
            if (layer < n_layers_ - 1)
                activate(layer);
        }
        T *logits = plan_.deltas[n_layers_ - 1].data() + begin_;
        const T *bias = plan_.values + bias_place(n_layers_ - 1);
        for (int k = 0; k < n_outputs_; ++k)
            for (int c = 0; c < count_; ++c)
                logits[int64_t(k) * lead_ + c] += bias[k];
    }

    void activate(int layer) {
        const int units = plan_.widths[layer + 1];
        const T *bias = plan_.values + bias_place(layer), *mask = mask_of(layer + 1);
        with_activation(plan_.activations[layer], [&](auto kind) {
            using Kind = decltype(kind);
            for (int unit = 0; unit < units; ++unit) {
                const int64_t place = int64_t(unit) * lead_ + begin_;
                T *kept = plan_.kept[layer].data() + place;
                const T b = bias[unit];
                if (plan_.hidden[layer].empty()) {
                    for (int c = 0; c < count_; ++c)
                        kept[c] = Kind::value(kept[c] + b);
                    continue;
                }
                T *__restrict hidden = plan_.hidden[layer].data() + place;
                if (Kind::keeps_input)
                    for (int c = 0; c < count_; ++c) {
                        kept[c] += b;
                        hidden[c] = Kind::value(kept[c]);
                    }
                else
                    for (int c = 0; c < count_; ++c)
                        hidden[c] = kept[c] = Kind::value(kept[c] + b);
                if (mask) {
                    const T *__restrict masked = mask + place;
                    for (int c = 0; c < count_; ++c)
                        hidden[c] *= masked[c];
                }
            }
        });
    }

    // The gradient of each sample's inputs, layer by layer.
    void backward() {
        if (count_ == 0)
            return;
        for (int layer = n_layers_ - 1; layer > 0; --layer) {
            const int n_in = plan_.widths[layer], n_out = plan_.widths[layer + 1];
            T *delta = plan_.deltas[layer - 1].data();
            gemm(no, yes, count_, n_in, n_out, plan_.deltas[layer].data() + begin_, lead_,
                 plan_.values + weight_place(layer), n_in, delta + begin_, lead_);
            const T *mask = mask_of(layer);
            with_activation(plan_.activations[layer - 1], [&](auto kind) {
                using Kind = decltype(kind);
                for (int unit = 0; unit < n_in; ++unit) {
                    const int64_t place = int64_t(unit) * lead_ + begin_;
                    T *__restrict slope = delta + place;
                    const T *__restrict kept = plan_.kept[layer - 1].data() + place;
                    if (mask)
                        for (int c = 0; c < count_; ++c)
                            slope[c] *= mask[place + c];
                    if (!std::is_same_v<Kind, Identity>)
                        for (int c = 0; c < count_; ++c)
                            slope[c] *= Kind::slope(kept[c]);
                }
            });
        }
    }

    // The gradients and the update of some units of each layer.
    void update(double rate, double penalty, int64_t step) {
        const bool is_clipped = plan_.longest > 0;
        double square = 0;
        for (int layer = 0; layer < n_layers_; ++layer) {
            const int n_in = plan_.widths[layer], n_out = plan_.widths[layer + 1];
            const int first = static_cast<int>(int64_t(n_out) * thread_ / barrier_.n_threads);
            const int last = static_cast<int>(int64_t(n_out) * (thread_ + 1) / barrier_.n_threads);
            if (first == last)
                continue;
            compute_gradients(layer, first, last - first);
            const Range weights{weight_place(layer) + int64_t(first) * n_in,
                                int64_t(last - first) * n_in};
            const Range biases{bias_place(layer) + first, last - first};
            if (is_clipped)
                square += square_of(weights) + square_of(biases);
            else {
                change(weights, rate, penalty, step, T(1), true);
                change(biases, rate, 0, step, T(1), false);
            }
        }
        if (is_clipped) {
            plan_.squares[thread_] = square;
            barrier_.wait();
            double length = 0;
            for (int thread = 0; thread < barrier_.n_threads; ++thread)
                length += plan_.squares[thread];
            const T factor = static_cast<T>(shortening(std::sqrt(length)));
            for (int layer = 0; layer < n_layers_; ++layer) {
                const int n_in = plan_.widths[layer], n_out = plan_.widths[layer + 1];
                const int first = static_cast<int>(int64_t(n_out) * thread_ / barrier_.n_threads);
                const int last =
                    static_cast<int>(int64_t(n_out) * (thread_ + 1) / barrier_.n_threads);
                change({weight_place(layer) + int64_t(first) * n_in, int64_t(last - first) * n_in},
                       rate, penalty, step, factor, true);
                change({bias_place(layer) + first, last - first}, rate, 0, step, factor, false);
            }
        }
    }

    struct Range {
        int64_t start, count;
    };

    double square_of(Range range) const {
        const T *gradient = plan_.gradient.data() + range.start;
        return long_sum_of<T>(range.count, [=](int64_t i) { return gradient[i] * gradient[i]; });
    }

    // As torch.nn.utils.clip_grad_norm_; NaN stays NaN.
    double shortening(double length) const {
        const double factor = plan_.longest / (length + 1e-6);
        return factor > 1 ? 1 : factor;
    }

    void compute_gradients(int layer, int first, int count) {
        const int n_in = plan_.widths[layer];
        const T *delta = plan_.deltas[layer].data() + int64_t(first) * lead_;
        T *gradient = plan_.gradient.data() + weight_place(layer) + int64_t(first) * n_in;
        if (layer == 0 && !is_feature_major_)
            gemm(no, no, n_in, count, size_, inputs_, n_in, delta, lead_, gradient, n_in);
        else
            gemm(yes, no, n_in, count, size_, layer == 0 ? inputs_ : hidden_of(layer - 1), lead_,
                 delta, lead_, gradient, n_in);
        T *of_bias = plan_.gradient.data() + bias_place(layer) + first;
        for (int unit = 0; unit < count; ++unit) {
            const T *values = delta + int64_t(unit) * lead_;
            of_bias[unit] = sum_of<T>(size_, [=](int64_t c) { return values[c]; });
        }
    }

    // Changes a range of the parameters by their gradient, times a factor, and the penalty's;
    // the penalty is also a part of the loss, of the weights as they were before.
    void change(Range range, double rate, double penalty, int64_t step, T factor,
                bool are_weights) {
        descend(range, rate, penalty, step, factor, are_weights);
        if (!plan_.average)
            return;
        const T *__restrict values = plan_.values + range.start;
        T *__restrict average = plan_.average + range.start;
        // Of n steps, the one k steps back counts (1 - d) d**k / (1 - d**n).
        const double rest = 1 - std::pow(plan_.ema_decay, double(averaged_));
        const T share = static_cast<T>((1 - plan_.ema_decay) / rest);
        for (int64_t i = 0; i < range.count; ++i)
            average[i] += share * (values[i] - average[i]);
    }

    void descend(Range range, double rate, double penalty, int64_t step, T factor,
                 bool are_weights) {
        T *__restrict values = plan_.values + range.start;
        const T *__restrict gradient = plan_.gradient.data() + range.start;
        if (penalty != 0)
            total_ += 0.5 * penalty * size_
                * long_sum_of<T>(range.count, [=](int64_t i) { return values[i] * values[i]; });
        const T p = static_cast<T>(penalty);
        T *__restrict first = plan_.first + range.start;
        if (plan_.solver == Solver::sgd || plan_.solver == Solver::nesterov) {
            const T momentum = static_cast<T>(plan_.beta_1), by = static_cast<T>(rate);
            const T ahead = plan_.solver == Solver::nesterov ? momentum : T(1);
            const T straight = plan_.solver == Solver::nesterov ? by : T(0);
            for (int64_t i = 0; i < range.count; ++i) {
                const T slope = gradient[i] * factor + p * values[i];
                first[i] = momentum * first[i] - by * slope;
                values[i] += ahead * first[i] - straight * slope;
            }
            return;
        }
        T *__restrict second = plan_.second + range.start;
        const double correction = std::sqrt(1 - std::pow(plan_.beta_2, double(step)));
        const bool is_adamw = plan_.solver == Solver::adamw;
        // Kingma and Ba (2014), section 2: the bias correction is folded into the step size.
        const T by = static_cast<T>(rate * correction / (1 - std::pow(plan_.beta_1, double(step))));
        const T epsilon = static_cast<T>(plan_.epsilon * (is_adamw ? correction : 1));
        const T shrink = static_cast<T>(is_adamw && are_weights ? 1 - rate * plan_.decay : 1);
        const T take_1 = static_cast<T>(1 - plan_.beta_1), beta_2 = static_cast<T>(plan_.beta_2);
        const T take_2 = static_cast<T>(1 - plan_.beta_2);
        for (int64_t i = 0; i < range.count; ++i) {
            const T slope = gradient[i] * factor + p * values[i];
            first[i] += take_1 * (slope - first[i]);
            second[i] = beta_2 * second[i] + take_2 * (slope * slope);
            values[i] = values[i] * shrink - by * first[i] / (std::sqrt(second[i]) + epsilon);
        }
    }

    // The losses of the slice, whose logits become their gradients.
    const T *lose_slice() {
        T *losses = plan_.column_sum.data() + begin_;
        Losses<T> of{plan_.deltas[n_layers_ - 1].data() + begin_, plan_.targets.data() + begin_,
                     plan_.codes.data() + begin_, losses, plan_.column_max.data() + begin_,
                     plan_.column_more.data() + begin_, lead_, n_outputs_, count_};
        of.compute(plan_.loss, static_cast<T>(plan_.loss_number));
        return losses;
    }

    // From logits to the gradient of the loss, for the slice.
    void lose() {
        if (count_ == 0)
            return;
        T *logits = plan_.deltas[n_layers_ - 1].data() + begin_;
        const T *shares = shares_ ? shares_ + begin_ : nullptr;
        const T *losses = lose_slice();
        const T share = share_;
        for (int k = 0; k < n_outputs_; ++k) {
            T *delta = logits + int64_t(k) * lead_;
            if (shares)
                for (int c = 0; c < count_; ++c)
                    delta[c] *= shares[c];
            else
                for (int c = 0; c < count_; ++c)
                    delta[c] *= share;
        }
        total_ += shares ? double(size_) * long_sum_of<T>(
                               count_, [=](int64_t c) { return losses[c] * shares[c]; })
                         : long_sum_of<T>(count_, [=](int64_t c) { return losses[c]; });
    }

    void judge_slice(const Panel<T> &panel, Judgement &found) {
        const T *logits = plan_.deltas[n_layers_ - 1].data() + begin_;
        const double *weights = panel.weights ? panel.weights + start_ + begin_ : nullptr;
        if (panel.logits)
            for (int k = 0; k < n_outputs_; ++k)
                std::memcpy(panel.logits + k * epoch_.n_samples + start_ + begin_,
                            logits + int64_t(k) * lead_, count_ * sizeof(T));
        else if (panel.is_scored)
            for (int c = 0; c < count_; ++c)
                if (is_right(logits + c, begin_ + c))
                    found.right += weights ? weights[c] : 1;
        const T *losses = lose_slice();
        for (int c = 0; c < count_; ++c)
            found.loss += weights ? losses[c] * weights[c] : losses[c];
    }

    // Whether the sample's class has the largest logit, or each of its labels the sign that it
    // should have. Where the largest is not finite, a softmax is NaN, and the first class is said.
    bool is_right(const T *logit, int sample) const {
        if (!plan_.are_codes) {
            for (int k = 0; k < n_outputs_; ++k) {
                const int64_t place = int64_t(k) * lead_;
                if ((logit[place] > T(0)) != (plan_.targets[place + sample] > T(0.5)))
                    return false;
            }
            return true;
        }
        int best = 0;
        for (int k = 1; k < n_outputs_; ++k) {
            const T most = logit[int64_t(best) * lead_];
            if (!(logit[int64_t(k) * lead_] <= most) && most == most)
                best = k;
        }
        const T most = logit[int64_t(best) * lead_];
        if (!(elementary::absolute(most) < elementary::infinity<T>))
            best = 0;
        return best == static_cast<const int64_t *>(epoch_.targets)[row(sample)];
    }
};

template <class T> double work(Plan<T> &plan, const Epoch<T> &epoch, Barrier &barrier, int thread) {
    return Worker<T>(plan, epoch, barrier, thread).run();
}

template <class T> Judgement judge(Plan<T> &plan, const Epoch<T> &samples, const Panel<T> &panel,
                                   Barrier &barrier, int thread) {
    return Worker<T>(plan, samples, barrier, thread).judge(panel);
}

} // namespace
