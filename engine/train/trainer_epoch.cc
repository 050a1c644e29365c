// What comes behind the steps of a training: validation, guard, checkpoints.
#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/train/batch_change.h"
#include "engine/train/best_epoch.h"
#include "engine/train/divergence.h"
#include "engine/train/good_state.h"
#include "engine/train/trainer_impl.h"

namespace pocketune {

Status Trainer::Impl::Save() {
  if (store_ != nullptr) PT_RETURN_IF_ERROR(Blame(Part::kStore, store_->Save(*session_, state)));
  saved_step_ = state.step;
  return OkStatus();
}

// Back to the last good state with half the learning rate. What is not finite has reached no
// weight, but weights updated earlier in the same step have moved. A state saved in the middle of
// an epoch may have come apart already.
Status Trainer::Impl::RollBack(const Wrong& wrong, int64_t step) {
  if (store_ == nullptr) return GiveUp(wrong, step);
  const TrainState failed = state;
  const auto answers = [&]() -> Result<bool> {
    Evaluation eval;
    std::string fault_of_answers;
    PT_RETURN_IF_ERROR(FaultOfAnswers(/*may_stop=*/false, &eval, &fault_of_answers));
    const double start = StartLoss(failed.loss_first, classes_);
    return fault_of_answers.empty() && !(start > 0 && eval.loss > kGrownLoss * start);
  };
  MakeRoom();
  bool of_store = false;
  const Result<GoodState> found = RestoreGood(*store_, *session_, answers, &state, &of_store);
  if (!found.ok()) return Blame(of_store ? Part::kStore : Part::kSession, found.status());
  if (found.value() == GoodState::kBest) {  // it stands at that epoch's end
    state.step = std::min((state.best_epoch + 1) * per_epoch, schedule.total_steps);
    state.batch = batch;
  }
  CountInBatches(samples_->size(), batch, &state);
  const bool give_up = failed.rollbacks >= failed.rollback_limit;
  state.rollbacks = failed.rollbacks + (give_up ? 0 : 1);
  state.lr_factor = give_up ? failed.lr_factor : failed.lr_factor / 2;
  state.rollback_limit = failed.rollback_limit + (give_up ? kRollbacks : 0);
  PT_RETURN_IF_ERROR(Save());  // so that one that goes on does not repeat the mistake
  if (found.value() != GoodState::kNewest) {
    PT_RETURN_IF_ERROR(Save());  // in place of the bad generation too
  }
  if (give_up) return GiveUp(wrong, step);
  if (loader_ != nullptr) loader_->Seek(state.step / per_epoch, state.step % per_epoch);
  Note(wrong.text + Format(" at step %lld: rolled back to step %lld, learning rate halved (x%g)",
                           static_cast<long long>(step), static_cast<long long>(state.step),
                           state.lr_factor));
  return OkStatus();
}

Status Trainer::Impl::GiveUp(const Wrong& wrong, int64_t step) {
  fault.text = wrong.text;
  fault.step = step;
  return Blame(Part::kGuard,
               Status(StatusCode::kAborted, wrong.message, static_cast<int32_t>(step)));
}

std::string Trainer::Impl::DivergenceOfEpoch(const Evaluation& eval) const {
  return DivergenceOf({.first = state.loss_first,
                       .mean = state.epoch_loss_sum / static_cast<double>(state.epoch_steps),
                       .last = state.loss_last,
                       .classes = classes_},
                      eval);
}

Result<bool> Trainer::Impl::Answers(SampleSource* source) {
  EvaluationFault why;
  const Result<bool> good = AnswersABatch(*session_, *source, &why);
  if (!good.ok()) return BlameEvaluation(source, why, good.status());
  return good.value();
}

// What is wrong with the session's answers on validation, or, where there is none, for a batch of
// the training samples, to `*what`. Empty: nothing; `*eval` is then what was found on validation.
Status Trainer::Impl::FaultOfAnswers(bool may_stop, Evaluation* eval, std::string* what) {
  what->clear();
  if (HasValidation()) {
    Result<Evaluation> found = Validate(may_stop);
    if (!found.ok()) return found.status();
    if (std::isfinite(found.value().loss)) {
      *eval = std::move(found).value();
    } else {
      *what = "the validation loss is not finite";
    }
    return OkStatus();
  }
  if (store_ == nullptr) return OkStatus();
  const Result<bool> good = Answers(samples_);
  if (!good.ok()) return good.status();
  if (!good.value()) *what = "what the model answers is not finite";
  return OkStatus();
}

Result<Evaluation> Trainer::Impl::ValidateOnce(bool may_stop, EvaluationFault* why) {
  std::function<bool()> stop;
  if (may_stop) stop = [this] { return request.stopped(); };
  return EvaluateFrom(*session_, *validation_, loader_size(), val_cache_.get(), stop, why);
}

Result<Evaluation> Trainer::Impl::Validate(bool may_stop) {
  EvaluationFault why;
  Result<Evaluation> eval = ValidateOnce(may_stop, &why);
  if (!eval.ok() && may_stop && request.stopped()) {
    broken_off_ = true;
    return eval;
  }
  if (!eval.ok() && val_cache_ != nullptr) {
    Note("prefix cache: off for validation: " + val_cache_->TextOf(eval.status()));
    val_cache_->Remove();
    val_cache_.reset();
    return Validate(may_stop);
  }
  if (!eval.ok()) return BlameEvaluation(validation_, why, eval.status());
  AddBad(validation_, eval.value().bad);
  return eval;
}

void Trainer::Impl::JudgeEpoch(const Evaluation& eval, EpochEvent* event) {
  event->validated = true;
  event->val_loss = eval.loss;
  event->val_accuracy = eval.accuracy();
  event->best = IsBest(eval, state);
  state.epochs_without_gain = event->best ? 0 : state.epochs_without_gain + 1;
  if (!event->best) return;
  state.best_accuracy = event->val_accuracy;
  state.best_loss = event->val_loss;
  state.best_epoch = event->epoch;
}

// What the epoch that ends comes to, and the beginning of the next.
EpochEvent Trainer::Impl::CloseEpoch() {
  EpochEvent event;
  event.epoch = (state.step - 1) / per_epoch;
  event.step = state.step;
  event.train_loss = state.epoch_loss_sum / static_cast<double>(state.epoch_steps);
  event.lr = schedule.At(state.step - 1) * state.lr_factor;
  state.epoch_loss_sum = 0;
  state.epoch_steps = 0;
  return event;
}

Status Trainer::Impl::EndEpoch() {
  broken_off_ = false;
  MakeRoom();
  Evaluation eval;
  std::string what = store_ == nullptr ? "" : FaultOfParams(*session_);
  if (what.empty()) {
    const Status found = FaultOfAnswers(stoppable_, &eval, &what);
    if (broken_off_) return OkStatus();
    PT_RETURN_IF_ERROR(found);
  }
  if (!what.empty()) return RollBack({what}, state.step);
  what = DivergenceOfEpoch(eval);
  if (!what.empty()) return RollBack({what, "train: the loss grows"}, state.step);
  EpochEvent event = CloseEpoch();
  if (eval.samples > 0) {
    JudgeEpoch(eval, &event);
    if (event.best && spec_.keep_best && store_ != nullptr) {
      PT_RETURN_IF_ERROR(Blame(Part::kStore, store_->SaveBest(*session_)));
    }
  }
  if (listener_.on_epoch) listener_.on_epoch(event);
  if (OutOfPatience()) {
    Note(Format("no gain on validation for %lld epochs: stopping early",
                static_cast<long long>(spec_.patience)));
    state.done = true;
  }
  if (state.step >= schedule.total_steps) state.done = true;
  if (state.done) PT_RETURN_IF_ERROR(KeepBest());
  return Save();
}

// Of a state that no validation has looked at.
Status Trainer::Impl::Checkpoint() {
  if (saved_step_ == state.step) return OkStatus();
  if (store_ == nullptr) return Save();
  MakeRoom();
  std::string what = FaultOfParams(*session_);
  if (what.empty()) {
    const Result<bool> good = Answers(HasValidation() ? validation_ : samples_);
    if (!good.ok()) return good.status();
    if (!good.value()) what = "what the model answers is not finite";
  }
  if (!what.empty()) return RollBack({what}, state.step);
  return Save();
}

Status Trainer::Impl::Finish() {
  state.done = true;
  PT_RETURN_IF_ERROR(KeepBest());
  return Save();
}

Status Trainer::Impl::KeepBest() {
  if (!spec_.keep_best || store_ == nullptr || state.best_epoch < 0) return OkStatus();
  if (state.epochs_without_gain == 0) return OkStatus();  // the last epoch is the best
  const uint64_t steps = session_->step();
  PT_RETURN_IF_ERROR(
      Blame(Part::kStore, store_->Restore(TrainStore::Which::kBest, *session_, &state)));
  session_->set_step(steps);
  const bool by_accuracy = state.best_accuracy > 0;  // else there may be none
  Note(Format("kept the weights of epoch %lld (validation %s)",
              static_cast<long long>(state.best_epoch + 1),
              (by_accuracy ? Format("accuracy %.1f %%", 100 * state.best_accuracy)
                           : Format("loss %.4f", state.best_loss))
                  .c_str()));
  return OkStatus();
}

}  // namespace pocketune
