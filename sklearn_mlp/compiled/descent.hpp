// How a solver changes parameters by their gradient.

// A step of a solver, in the numbers that its loops use.
template <class T> class Descent {
  public:
    // `averaged` counts the steps that the average is of, with this one.
    Descent(const Plan<T> &plan, double rate, int64_t step, int64_t averaged)
        : is_sgd_(plan.solver == Solver::sgd || plan.solver == Solver::nesterov),
          momentum_(static_cast<T>(plan.beta_1)), by_(static_cast<T>(rate)),
          beta_2_(static_cast<T>(plan.beta_2)) {
        if (plan.average)
            // Of n steps, the one k steps back counts (1 - d) d**k / (1 - d**n).
            share_ = static_cast<T>((1 - plan.ema_decay)
                                    / (1 - std::pow(plan.ema_decay, double(averaged))));
        if (is_sgd_) {
            const bool is_nesterov = plan.solver == Solver::nesterov;
            ahead_ = is_nesterov ? momentum_ : T(1);
            straight_ = is_nesterov ? by_ : T(0);
            return;
        }
        const double correction = std::sqrt(1 - std::pow(plan.beta_2, double(step)));
        const bool is_adamw = plan.solver == Solver::adamw;
        // Kingma and Ba (2014), section 2: the bias correction is folded into the step size.
        by_ = static_cast<T>(rate * correction / (1 - std::pow(plan.beta_1, double(step))));
        epsilon_ = static_cast<T>(plan.epsilon * (is_adamw ? correction : 1));
        shrink_ = static_cast<T>(is_adamw ? 1 - rate * plan.decay : 1);
        take_1_ = static_cast<T>(1 - plan.beta_1);
        take_2_ = static_cast<T>(1 - plan.beta_2);
    }

    // Changes some parameters, by their gradient times a factor and the penalty's, and takes
    // them into the average, if there is one.
    void take(Plan<T> &plan, int64_t start, int64_t count, const T *gradient, T factor, T penalty,
              bool are_weights) const {
        T *__restrict values = plan.values + start;
        T *__restrict first = plan.first + start;
        if (is_sgd_)
            take_sgd(values, first, count, gradient, factor, penalty);
        else
            take_adam(values, first, plan.second + start, count, gradient, factor, penalty,
                      are_weights ? shrink_ : T(1));
        if (!plan.average)
            return;
        T *__restrict average = plan.average + start;
        for (int64_t i = 0; i < count; ++i)
            average[i] += share_ * (values[i] - average[i]);
    }

  private:
    const bool is_sgd_;
    const T momentum_;
    T by_; // the rate, of Adam with what corrects its bias
    const T beta_2_;
    T ahead_ = 0, straight_ = 0; // of Nesterov's momentum
    T epsilon_ = 0, shrink_ = 1, take_1_ = 0, take_2_ = 0, share_ = 0;

    void take_sgd(T *__restrict values, T *__restrict first, int64_t count,
                  const T *__restrict gradient, T factor, T penalty) const {
        const T momentum = momentum_, by = by_, ahead = ahead_, straight = straight_;
        for (int64_t i = 0; i < count; ++i) {
            const T slope = gradient[i] * factor + penalty * values[i];
            first[i] = momentum * first[i] - by * slope;
            values[i] += ahead * first[i] - straight * slope;
        }
    }

    void take_adam(T *__restrict values, T *__restrict first, T *__restrict second, int64_t count,
                   const T *__restrict gradient, T factor, T penalty, T shrink) const {
        int64_t i = 0;
#ifdef HAS_ESTIMATED_ROOTS
        if constexpr (std::is_same_v<T, float>)
            for (; i + 16 <= count; i += 16)
                take_adam_at<elementary::Sixteen>(values + i, first + i, second + i, gradient + i,
                                                  factor, penalty, shrink);
#endif
        for (; i < count; ++i)
            take_adam_at<One>(values + i, first + i, second + i, gradient + i, factor, penalty,
                              shrink);
    }

    struct One {
        using Numbers = T;
    };

    // For so many numbers. The root is computed without the processor's own, which the division
    // would wait for: with both, they take longer than all else together.
    template <class Lane>
    INLINED void take_adam_at(T *__restrict value, T *__restrict first, T *__restrict second,
                              const T *__restrict gradient, T factor, T penalty, T shrink) const {
        using Numbers = typename Lane::Numbers;
        const Numbers old = *reinterpret_cast<const Numbers *>(value);
        const Numbers before = *reinterpret_cast<const Numbers *>(first);
        const Numbers slope = *reinterpret_cast<const Numbers *>(gradient) * factor + penalty * old;
        const Numbers mean = before + take_1_ * (slope - before);
        const Numbers square =
            beta_2_ * *reinterpret_cast<const Numbers *>(second) + take_2_ * (slope * slope);
        *reinterpret_cast<Numbers *>(first) = mean;
        *reinterpret_cast<Numbers *>(second) = square;
        *reinterpret_cast<Numbers *>(value) =
            old * shrink - by_ * mean / (elementary::root(square) + epsilon_);
    }
};
