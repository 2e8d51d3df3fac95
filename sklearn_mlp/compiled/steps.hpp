// The steps of an epoch: gather, forward, gradient of the loss, backward, penalty, update.
//
// Included once for each kind of processor, in a namespace of its own. With n threads each takes
// a slice of the samples forwards and backwards, and then some units of each layer, whose weights'
// gradients it computes from all samples and whose weights it changes: nothing is summed over
// threads but the epoch's loss and the length of a gradient, in the threads' order. Scales of the
// features are learned on one thread, with a gradient that is not clipped.

#include "elementary.hpp"

namespace {

#include "activations.hpp"
#include "descent.hpp"
#include "losses.hpp"
#ifdef VECTOR_BYTES
#include "tiles.hpp"
#endif
#include "products.hpp"

// Reductions are written in lanes, because the compiler may not reorder a sum by itself.
constexpr int LANES = 32;

// Up to so many features a batch is laid out feature-major.
constexpr int FEW_FEATURES = 32;

template <class T, class Term> inline T sum_of(int64_t n, Term term) {
    constexpr int FEW = LANES / 4;
    T lanes[LANES] = {}, few[FEW] = {};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; ++lane)
            lanes[lane] += term(i + lane);
    for (; i + FEW <= n; i += FEW)
        for (int lane = 0; lane < FEW; ++lane)
            few[lane] += term(i + lane);
    T rest = 0;
    for (; i < n; ++i)
        rest += term(i);
    for (int lane = 0; lane < FEW; ++lane)
        few[lane] += (lanes[lane] + lanes[lane + FEW]) + (lanes[lane + 2 * FEW] + lanes[lane + 3 * FEW]);
    for (int lane = 0; lane < FEW / 2; ++lane)
        few[lane] += few[lane + FEW / 2];
    return ((few[0] + few[2]) + (few[1] + few[3])) + rest;
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

// Has numbers that are needed soon brought into the cache.
template <class T> inline void fetch(const T *numbers, int64_t count) {
#ifdef __GNUC__
    for (int64_t i = 0; i < count; i += 64 / sizeof(T))
        __builtin_prefetch(numbers + i);
#endif
}

// One batch, as one thread sees it: its slice of samples, and its share of each layer's units.
template <class T> class Worker {
  public:
    Worker(Plan<T> &plan, const Epoch<T> &epoch, Barrier &barrier, int thread)
        : plan_(plan), epoch_(epoch), barrier_(barrier), thread_(thread),
          n_layers_(plan.n_layers()), n_outputs_(plan.widths[plan.n_layers()]),
          products_(plan.gemm), masks_(epoch.masks) {}

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
                if (masks_)
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
    const Products<T> products_;
    int lead_ = 0; // from one unit's values to the next one's
    int64_t start_ = 0; // of the batch, in the epoch
    int size_ = 0; // of the batch
    int begin_ = 0, count_ = 0; // the slice
    T share_ = 0; // what each sample counts
    const T *shares_ = nullptr; // or each its own
    bool is_feature_major_ = false;
    const T *inputs_ = nullptr;
    const T *scaled_ = nullptr; // what the first layer takes: the inputs, or these times the scales
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
        scale_inputs();
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
                // Rows come from anywhere in memory: the next one is on its way meanwhile.
                if (c + 1 < begin_ + count_)
                    fetch(epoch_.inputs + row(c + 1) * epoch_.row_stride, n_features);
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

    void scale_inputs() {
        scaled_ = inputs_;
        if (!plan_.has_scales)
            return;
        const int n_features = plan_.widths[0];
        const T *scales = plan_.values + bias_place(n_layers_);
        T *__restrict scaled = plan_.scaled.data();
        scaled_ = scaled;
        if (is_feature_major_)
            for (int j = 0; j < n_features; ++j)
                for (int c = begin_; c < begin_ + count_; ++c)
                    scaled[int64_t(j) * lead_ + c] = inputs_[int64_t(j) * lead_ + c] * scales[j];
        else
            for (int c = begin_; c < begin_ + count_; ++c)
                for (int j = 0; j < n_features; ++j)
                    scaled[int64_t(c) * n_features + j] = inputs_[int64_t(c) * n_features + j] * scales[j];
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

    // values = factor weight @ inputs, for the slice; the bias comes with what is done to them.
    void forward() {
        if (count_ == 0)
            return;
        for (int layer = 0; layer < n_layers_; ++layer) {
            const int n_in = plan_.widths[layer], n_out = plan_.widths[layer + 1];
            const T *weight = plan_.values + weight_place(layer);
            T *out = values_of(layer) + begin_;
            if (is_row_major(layer))
                products_.multiply('T', 'N', count_, n_out, n_in, plan_.factors[layer],
                     scaled_ + int64_t(begin_) * n_in, n_in, weight, n_in, out, lead_);
            else
                products_.multiply('N', 'N', count_, n_out, n_in, plan_.factors[layer],
                     (layer == 0 ? scaled_ : hidden_of(layer - 1)) + begin_, lead_, weight, n_in,
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

    // What is kept of a unit is its value, or its slope times the mask.
    void activate(int layer) {
        const int units = plan_.widths[layer + 1];
        const T *bias = plan_.values + bias_place(layer), *mask = mask_of(layer + 1);
        T *kept = plan_.kept[layer].data();
        T *hidden = plan_.hidden[layer].empty() ? nullptr : plan_.hidden[layer].data();
        with_activation(plan_.activations[layer], [&](auto kind) {
            using Kind = decltype(kind);
            for (int unit = 0; unit < units; ++unit) {
                const int64_t place = int64_t(unit) * lead_ + begin_;
                if constexpr (Kind::keeps_slope)
                    activate_with_slope<Kind>(bias[unit], mask ? mask + place : nullptr, kept + place,
                                              hidden + place);
                else {
                    for (int c = 0; c < count_; ++c)
                        kept[place + c] = Kind::value(kept[place + c] + bias[unit]);
                    if (hidden)
                        copy_masked(kept + place, mask ? mask + place : nullptr, hidden + place);
                }
            }
        });
    }

    template <class Kind>
    void activate_with_slope(T bias, const T *__restrict mask, T *__restrict kept,
                             T *__restrict hidden) const {
        for (int c = 0; c < count_; ++c) {
            T slope;
            hidden[c] = Kind::value(kept[c] + bias, slope);
            kept[c] = slope;
        }
        if (mask)
            for (int c = 0; c < count_; ++c) {
                hidden[c] *= mask[c];
                kept[c] *= mask[c];
            }
    }

    void copy_masked(const T *__restrict from, const T *__restrict mask, T *__restrict to) const {
        if (!mask)
            std::memcpy(to, from, count_ * sizeof(T));
        else
            for (int c = 0; c < count_; ++c)
                to[c] = from[c] * mask[c];
    }

    // The gradient of each sample's inputs, layer by layer.
    void backward() {
        if (count_ == 0)
            return;
        for (int layer = n_layers_ - 1; layer > 0; --layer) {
            const int n_in = plan_.widths[layer], n_out = plan_.widths[layer + 1];
            T *delta = plan_.deltas[layer - 1].data();
            products_.multiply('N', 'T', count_, n_in, n_out, plan_.factors[layer],
                 plan_.deltas[layer].data() + begin_, lead_, plan_.values + weight_place(layer), n_in, delta + begin_, lead_);
            const T *mask = mask_of(layer);
            with_activation(plan_.activations[layer - 1], [&](auto kind) {
                using Kind = decltype(kind);
                for (int unit = 0; unit < n_in; ++unit) {
                    const int64_t place = int64_t(unit) * lead_ + begin_;
                    T *__restrict slope = delta + place;
                    const T *__restrict kept = plan_.kept[layer - 1].data() + place;
                    if constexpr (Kind::keeps_slope) {
                        for (int c = 0; c < count_; ++c)
                            slope[c] *= kept[c];
                    } else {
                        if (mask)
                            for (int c = 0; c < count_; ++c)
                                slope[c] *= mask[place + c];
                        if (!std::is_same_v<Kind, Identity>)
                            for (int c = 0; c < count_; ++c)
                                slope[c] *= Kind::slope(kept[c]);
                    }
                }
            });
        }
    }

    struct Units {
        int first, count;
    };

    // The units of a layer whose weights this thread changes.
    Units own_units(int layer) const {
        const int64_t n_out = plan_.widths[layer + 1];
        const int first = static_cast<int>(n_out * thread_ / barrier_.n_threads);
        const int last = static_cast<int>(n_out * (thread_ + 1) / barrier_.n_threads);
        return {first, last - first};
    }

    // The gradients and the update of some units of each layer.
    void update(double rate, double penalty, int64_t step) {
        const Descent<T> descent(plan_, rate, step, averaged_);
        const Descent<T> of_biases = plan_.bias_rate == 1
            ? descent
            : Descent<T>(plan_, rate * plan_.bias_rate, step, averaged_);
        if (plan_.longest > 0)
            return update_clipped(descent, of_biases, penalty);
        T *scale_gradient = plan_.gradient.data() + bias_place(n_layers_);
        if (plan_.has_scales)
            std::memset(scale_gradient, 0, plan_.widths[0] * sizeof(T));
        for (int layer = 0; layer < n_layers_; ++layer) {
            const Units own = own_units(layer);
            if (own.count == 0)
                continue;
            const int n_in = plan_.widths[layer];
            // Some units at a time: their gradient is used while it is in the cache.
            const int at_once = is_row_major(layer)
                ? Products<T>::columns_to_go_on_with(n_in, own.count, size_)
                : own.count;
            const Range all = weights_of(layer, own);
            T *gradient = plan_.gradient.data() + all.start;
            for (int done = 0; done < own.count; done += at_once) {
                const int count = own.count - done < at_once ? own.count - done : at_once;
                compute_gradients(layer, {own.first + done, count}, gradient);
                if (layer == 0 && plan_.has_scales)
                    pass_scales({own.first + done, count}, gradient, scale_gradient);
                change(weights_of(layer, {own.first + done, count}), gradient, descent, penalty,
                       T(1), true);
            }
            const Range biases = biases_of(layer, own);
            T *bias_gradient = plan_.gradient.data() + biases.start;
            compute_bias_gradients(layer, own, bias_gradient);
            change(biases, bias_gradient, of_biases, 0, T(1), false);
        }
        if (plan_.has_scales)
            change({bias_place(n_layers_), plan_.widths[0]}, scale_gradient,
                   Descent<T>(plan_, rate * plan_.scale_rate, step, averaged_), 0, T(1), false);
    }

    // From the gradient of some units' weights times scales to that of each: the first layer
    // multiplies by both.
    void pass_scales(Units units, T *gradient, T *__restrict scale_gradient) const {
        const int n_in = plan_.widths[0];
        const T *scales = plan_.values + bias_place(n_layers_);
        for (int unit = 0; unit < units.count; ++unit) {
            const T *weight = plan_.values + int64_t(units.first + unit) * n_in;
            T *__restrict slope = gradient + int64_t(unit) * n_in;
            for (int j = 0; j < n_in; ++j) {
                scale_gradient[j] += slope[j] * weight[j];
                slope[j] *= scales[j];
            }
        }
    }

    // The same, where no more than a length of the gradient is used: all of it comes first.
    void update_clipped(const Descent<T> &descent, const Descent<T> &of_biases, double penalty) {
        T *gradient = plan_.gradient.data();
        double square = 0;
        for (int layer = 0; layer < n_layers_; ++layer) {
            const Units own = own_units(layer);
            const Range weights = weights_of(layer, own), biases = biases_of(layer, own);
            if (own.count == 0)
                continue;
            compute_gradients(layer, own, gradient + weights.start);
            compute_bias_gradients(layer, own, gradient + biases.start);
            square += square_of(weights) + square_of(biases);
        }
        plan_.squares[thread_] = square;
        barrier_.wait();
        double length = 0;
        for (int thread = 0; thread < barrier_.n_threads; ++thread)
            length += plan_.squares[thread];
        const T factor = static_cast<T>(shortening(std::sqrt(length)));
        for (int layer = 0; layer < n_layers_; ++layer) {
            const Units own = own_units(layer);
            const Range weights = weights_of(layer, own), biases = biases_of(layer, own);
            change(weights, gradient + weights.start, descent, penalty, factor, true);
            change(biases, gradient + biases.start, of_biases, 0, factor, false);
        }
    }

    struct Range {
        int64_t start, count;
    };

    Range weights_of(int layer, Units units) const {
        const int64_t n_in = plan_.widths[layer];
        return {weight_place(layer) + units.first * n_in, units.count * n_in};
    }

    Range biases_of(int layer, Units units) const {
        return {bias_place(layer) + units.first, units.count};
    }

    bool is_row_major(int layer) const { return layer == 0 && !is_feature_major_; }

    double square_of(Range range) const {
        const T *gradient = plan_.gradient.data() + range.start;
        return long_sum_of<T>(range.count, [=](int64_t i) { return gradient[i] * gradient[i]; });
    }

    // As torch.nn.utils.clip_grad_norm_; NaN stays NaN.
    double shortening(double length) const {
        const double factor = plan_.longest / (length + 1e-6);
        return factor > 1 ? 1 : factor;
    }

    void compute_gradients(int layer, Units units, T *gradient) const {
        const int n_in = plan_.widths[layer];
        const T *delta = plan_.deltas[layer].data() + int64_t(units.first) * lead_;
        if (is_row_major(layer))
            products_.multiply('N', 'N', n_in, units.count, size_, plan_.factors[layer],
                               inputs_, n_in, delta, lead_, gradient, n_in);
        else
            products_.multiply('T', 'N', n_in, units.count, size_, plan_.factors[layer],
                               layer == 0 ? inputs_ : hidden_of(layer - 1), lead_, delta, lead_,
                               gradient, n_in);
    }

    void compute_bias_gradients(int layer, Units units, T *gradient) const {
        const T *delta = plan_.deltas[layer].data() + int64_t(units.first) * lead_;
        for (int unit = 0; unit < units.count; ++unit) {
            const T *values = delta + int64_t(unit) * lead_;
            gradient[unit] = sum_of<T>(size_, [=](int64_t c) { return values[c]; });
        }
    }

    // Changes a range of the parameters by their gradient, times a factor, and the penalty's;
    // the penalty is also a part of the loss, of the weights as they were before. Every number
    // is fetched once: a block stays in the cache.
    void change(Range range, const T *gradient, const Descent<T> &descent, double penalty,
                T factor, bool are_weights) {
        constexpr int64_t block = 2048;
        for (int64_t done = 0; done < range.count; done += block) {
            const int64_t start = range.start + done;
            const int64_t count = range.count - done < block ? range.count - done : block;
            const T *values = plan_.values + start;
            if (penalty != 0)
                total_ += 0.5 * penalty * size_
                    * double(sum_of<T>(count, [=](int64_t i) { return values[i] * values[i]; }));
            descent.take(plan_, start, count, gradient + done, factor, static_cast<T>(penalty),
                         are_weights);
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
