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

    // The root is computed without the processor's own, which the division would wait for: with
    // both, they take longer than all else together.
    void take_adam(T *__restrict values, T *__restrict first, T *__restrict second, int64_t count,
                   const T *__restrict gradient, T factor, T penalty, T shrink) const {
        const T by = by_, epsilon = epsilon_, take_1 = take_1_, take_2 = take_2_, beta_2 = beta_2_;
        for (int64_t i = 0; i < count; ++i) {
            const T slope = gradient[i] * factor + penalty * values[i];
            const T mean = first[i] + take_1 * (slope - first[i]);
            const T square = beta_2 * second[i] + take_2 * (slope * slope);
            first[i] = mean;
            second[i] = square;
            values[i] = values[i] * shrink - by * mean / (elementary::root(square) + epsilon);
        }
    }
};
