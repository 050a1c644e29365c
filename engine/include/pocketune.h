/* The C interface of pocketune: opens a compiled plan, trains and predicts on the caller's memory.
 *
 * C99, and C++. Link the shared library (pkg-config pocketune), which exports the functions of this
 * file and nothing else. docs/embedding.md tells how it is used, docs/adr/0012-c-abi.md why it is
 * so.
 *
 * Errors. Functions return PTN_OK or another ptn_status; ptn_last_error() then has one line that
 * says what was wrong. Where a function fails, its results are unspecified, and what it was to
 * change is as it was unless its comment says otherwise. No exception leaves the library, and
 * nothing that a caller or a file gets wrong ends the process: running out of memory is
 * PTN_RESOURCE_EXHAUSTED.
 *
 * Handles. A ptn_session, a ptn_pool and the like is a number that looks like a pointer. NULL, a
 * freed handle and one of another kind are PTN_INVALID_ARGUMENT; a freed handle's number is not
 * given again.
 *
 * Threads. Any thread may use any handle, one call at a time: a call on a handle that another call
 * is still busy with, on another thread or from within a callback, is PTN_FAILED_PRECONDITION and
 * changes nothing. Different handles may be used at once. In a child of fork(), handles made before
 * are PTN_FAILED_PRECONDITION, ptn_*_free included: their threads do not live there.
 *
 * Structs begin with `struct_size`, which the caller sets to sizeof: that is how programs built
 * with an older or a newer header than the library's are told apart. What an older struct lacks has
 * its default. A newer one is taken where all that the library does not know is zero. Zero means
 * the default everywhere, so that ptn_session_options options = {.struct_size = sizeof options,
 * .threads = 2}; says all that needs saying. Any other size is PTN_INVALID_ARGUMENT. A NULL in
 * place of options means the defaults.
 *
 * Texts are UTF-8 and end with a zero byte. Numbers are in the machine's byte order.
 */
#ifndef POCKETUNE_H_
#define POCKETUNE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PTN_API __attribute__((visibility("default")))
#else
#define PTN_API
#endif

/* Of this header. Minor versions may add functions, and fields at the end of structs. */
#define PTN_VERSION_MAJOR 0
#define PTN_VERSION_MINOR 1
#define PTN_VERSION_PATCH 0
/* One number to compare: 0x00MMmmpp. */
#define PTN_VERSION ((PTN_VERSION_MAJOR << 16) | (PTN_VERSION_MINOR << 8) | PTN_VERSION_PATCH)

/* PTN_VERSION of the library at hand. */
PTN_API uint32_t ptn_version(void);

/* ---- Errors ---------------------------------------------------------------------------------- */

typedef int32_t ptn_status;
enum {
  PTN_OK = 0,
  PTN_CANCELLED = 1,           /* a callback asked for it, or failed */
  PTN_INVALID_ARGUMENT = 3,    /* an argument, or a file that is no plan or an unsound one */
  PTN_NOT_FOUND = 5,           /* no such file */
  PTN_PERMISSION_DENIED = 7,   /* the system does not let this process do it */
  PTN_RESOURCE_EXHAUSTED = 8,  /* no memory, no threads */
  PTN_FAILED_PRECONDITION = 9, /* not now: the handle is in use, an input is not bound, ... */
  PTN_ABORTED = 10,            /* the numerical guard gave up */
  PTN_OUT_OF_RANGE = 11,       /* a label is not one of the classes */
  PTN_UNIMPLEMENTED = 12,      /* this build lacks it: a kernel, a newer format */
  PTN_INTERNAL = 13,           /* a bug of the library's, or a kernel's library failed */
  PTN_UNAVAILABLE = 14,        /* reading or writing a file failed */
  PTN_DATA_LOSS = 15           /* a file is damaged; a loss or a gradient is not finite */
};

/* "invalid argument" and the like; never NULL, lives for ever. */
PTN_API const char* ptn_status_name(ptn_status status);

/* One line about the last call on this thread that failed, "<where>: <fact> (got ..., want ...)";
 * "" before the first. It stays what it is until the next failing call on this thread, and its
 * memory is the thread's. */
PTN_API const char* ptn_last_error(void);

/* The number that goes with it: an errno, the index of a plan's step, fault bits; 0 for none. */
PTN_API int32_t ptn_last_error_detail(void);

/* ---- Notices --------------------------------------------------------------------------------- */

enum { PTN_LOG_INFO = 0, PTN_LOG_WARNING = 1, PTN_LOG_ERROR = 2 };

/* Gets one line, without a newline; the memory is the library's and lives for the call. May run on
 * any thread that calls the library. What it throws is caught and dropped. */
typedef void (*ptn_log_fn)(void* user, int32_t level, const char* line);

/* From now on notices that are no error of any call go to `log`, with `user`: that the system
 * starts fewer threads than asked for, for one. NULL: to nobody, as in the beginning. One for the
 * process. A notice that is under way on another thread may still reach the one before. */
PTN_API void ptn_set_log(ptn_log_fn log, void* user);

/* ---- Threads --------------------------------------------------------------------------------- */

/* Threads that sessions share: they take turns, a step each, in the order of asking. */
typedef struct ptn_pool ptn_pool;

typedef struct ptn_pool_options {
  uint32_t struct_size;
  uint32_t threads; /* the caller's included, 1 to 1024; 0: 1 */
  /* Nice value of the pool's own threads, -20 to 19, higher for more patient; 0: as the thread that
   * makes the pool. The thread that calls for a step works too and keeps its own. Linux and Android
   * have a nice value per thread (setpriority); elsewhere anything but 0 is PTN_UNIMPLEMENTED. Less
   * than the process has needs a right: PTN_PERMISSION_DENIED without. */
  int32_t nice;
  uint32_t reserved; /* 0 */
} ptn_pool_options;

/* Fewer threads are taken where the system starts no more: ptn_pool_threads. */
PTN_API ptn_status ptn_pool_create(const ptn_pool_options* options, ptn_pool** out);
PTN_API ptn_status ptn_pool_threads(ptn_pool* pool, uint32_t* out);
/* Sessions that use it keep its threads until they are freed. NULL is fine. */
PTN_API ptn_status ptn_pool_free(ptn_pool* pool);

/* ---- Sessions -------------------------------------------------------------------------------- */

/* An opened plan: its memory, its parameters, its place in the training. */
typedef struct ptn_session ptn_session;

typedef struct ptn_session_options {
  uint32_t struct_size;
  uint32_t threads; /* of a pool of its own, 1 to 1024; 0: 1. Results do not depend on it */
  uint64_t seed;    /* of what dropout draws */
  ptn_pool* pool;   /* takes the place of `threads`; NULL: a pool of its own */
} ptn_session_options;

/* Opens a plan file, checks all of it, and takes all memory that steps will need. The file may be
 * removed afterwards, but must not be changed while the session lives. PTN_NOT_FOUND,
 * PTN_UNAVAILABLE (detail = errno), PTN_DATA_LOSS (damaged), PTN_INVALID_ARGUMENT (no plan),
 * PTN_UNIMPLEMENTED (a kernel that this build lacks, detail = step; or a newer version),
 * PTN_FAILED_PRECONDITION (this processor runs no kernel of this build), PTN_RESOURCE_EXHAUSTED. */
PTN_API ptn_status ptn_session_open(const char* path, const ptn_session_options* options,
                                    ptn_session** out);
/* The same of a plan file's bytes in memory, at any alignment. They are read, not copied: they stay
 * the caller's, must live as long as the session and the trainers of it, and must not be changed.
 */
PTN_API ptn_status ptn_session_open_memory(const void* plan, size_t bytes,
                                           const ptn_session_options* options, ptn_session** out);
/* Gives back all that it holds; pointers that it gave are dead. NULL is fine. */
PTN_API ptn_status ptn_session_free(ptn_session* session);

enum { PTN_F32 = 0, PTN_F64 = 1, PTN_I32 = 2, PTN_U8 = 3 };

/* What an input or an output is for, whatever it is called. */
enum {
  PTN_DATA = 0,          /* input: a sample's own values */
  PTN_LABEL = 1,         /* input: what the loss compares answers with */
  PTN_SAMPLE_WEIGHT = 2, /* input f32[N]: 1 for a sample, 0 for a place that stays empty */
  PTN_PREDICTION = 3,    /* output: the answers that learn */
  PTN_LOSS = 4,          /* output: what training makes smaller */
  PTN_OTHER = 5          /* output: whatever else a prediction computes */
};

/* An input or an output. Shapes are static; dimensions outermost first, pictures are NHWC. */
typedef struct ptn_tensor_info {
  uint32_t struct_size;
  int32_t dtype;    /* PTN_F32, ... */
  const char* name; /* lives as long as the session */
  int64_t dims[6];  /* the first `rank` of them */
  int32_t rank;     /* 0 to 6; 0 is one element */
  int32_t role;     /* PTN_DATA, ... */
  int64_t elements;
  int64_t bytes;
} ptn_tensor_info;

/* Inputs of a schedule and its outputs, under the names that the model gave them. "train" and
 * "eval" run on the batch of N samples: models of the zoo have "image" f32[N,H,W,C], "label"
 * i32[N], "weight" f32[N] (1 for a sample, 0 for padding), "loss" f32[] and "logits" f32[N,K].
 * "predict" takes one sample, "image" f32[1,H,W,C], and gives "logits" f32[1,K]. Where a plan has
 * none (it is for batches of one sample, was compiled without, mixes the samples of a batch, or is
 * of an older version), the name stands for "eval", here as in what follows: size buffers by what
 * this says, which then is N samples. Any other schedule that the plan lacks has no inputs. `index`
 * counts from 0; PTN_OUT_OF_RANGE beyond the last. */
PTN_API ptn_status ptn_session_input_count(ptn_session* session, const char* schedule, size_t* out);
PTN_API ptn_status ptn_session_input(ptn_session* session, const char* schedule, size_t index,
                                     ptn_tensor_info* out);
PTN_API ptn_status ptn_session_output_count(ptn_session* session, const char* schedule,
                                            size_t* out);
PTN_API ptn_status ptn_session_output(ptn_session* session, const char* schedule, size_t index,
                                      ptn_tensor_info* out);

/* Binds `bytes` at `data`, at any alignment, to the input of that name in "train" and in "eval",
 * whose inputs have the same shapes; not in "predict", which takes another number of samples. The
 * memory stays the caller's, is read by each following step, and must live that long. NULL unbinds.
 * PTN_INVALID_ARGUMENT for an unknown name or another size. */
PTN_API ptn_status ptn_session_bind(ptn_session* session, const char* input, const void* data,
                                    size_t bytes);
/* The same in that schedule alone, "predict" say. */
PTN_API ptn_status ptn_session_bind_in(ptn_session* session, const char* schedule,
                                       const char* input, const void* data, size_t bytes);

/* One optimisation step on the bound batch: forward, backward, update; the mean loss (nats) goes to
 * *loss, which may be NULL. Takes no memory. PTN_FAILED_PRECONDITION: an input is unbound, or the
 * plan has no such schedule. PTN_OUT_OF_RANGE: a label outside [0, classes); nothing has learned.
 * PTN_DATA_LOSS: the loss is not finite, nothing has learned; or a gradient is not, and weights
 * that were updated before it have changed: restore the last checkpoint. */
PTN_API ptn_status ptn_session_train_step(ptn_session* session, double learning_rate, float* loss);
/* Forward alone; all inputs of "eval" must be bound. Errors as above. */
PTN_API ptn_status ptn_session_eval_step(ptn_session* session, float* loss);
/* What the outputs other than the loss need of "eval": labels and weights may be unbound. */
PTN_API ptn_status ptn_session_predict(ptn_session* session);
/* The same of that schedule: "predict" answers for one sample in a fraction of the time, the same
 * but for rounding. Reads what ptn_session_bind_in has bound. PTN_FAILED_PRECONDITION: an input is
 * unbound, or the plan has no such schedule. PTN_INVALID_ARGUMENT: a schedule that trains. */
PTN_API ptn_status ptn_session_predict_in(ptn_session* session, const char* schedule);
/* Copies an output of the last step to `out`, `elements` floats, exactly its size.
 * PTN_FAILED_PRECONDITION where the last step was not one of `schedule` or did not compute it. */
PTN_API ptn_status ptn_session_read(ptn_session* session, const char* schedule, const char* output,
                                    float* out, size_t elements);

/* ---- Parameters ------------------------------------------------------------------------------ */

/* How the dimensions of a parameter stand here and in files of PyTorch's weights. */
enum {
  PTN_ROWS = 0,     /* the same in both */
  PTN_CONV = 1,     /* [out, height, width, in] here, [out, in, height, width] there */
  PTN_DEPTHWISE = 2 /* [height, width, channels] here, [channels, 1, height, width] there */
};

/* A parameter, or the state that an optimizer keeps for one. Values are f32. */
typedef struct ptn_param_info {
  uint32_t struct_size;
  int32_t rank;
  const char* name; /* lives as long as the session */
  int64_t dims[6];  /* in the layout that `layout` names; linear weights are [out, in] */
  int64_t elements;
  int32_t trainable; /* 1 where it learns under this plan; others cannot be written */
  int32_t state;     /* 1 for an optimizer's state */
  int32_t layout;    /* PTN_ROWS, ... */
  uint32_t reserved;
} ptn_param_info;

PTN_API ptn_status ptn_session_param_count(ptn_session* session, size_t* out);
PTN_API ptn_status ptn_session_param(ptn_session* session, size_t index, ptn_param_info* out);
/* Current values, to `elements` floats at `out`, exactly the parameter's size. */
PTN_API ptn_status ptn_session_read_param(ptn_session* session, const char* name, float* out,
                                          size_t elements);
/* Values as compiled in, before any training; zeros for a state. */
PTN_API ptn_status ptn_session_read_base_param(ptn_session* session, const char* name, float* out,
                                               size_t elements);
/* PTN_FAILED_PRECONDITION where it does not learn under this plan. */
PTN_API ptn_status ptn_session_write_param(ptn_session* session, const char* name,
                                           const float* values, size_t elements);

/* ---- Checkpoints ----------------------------------------------------------------------------- */

/* Saves what has learned, optimizer states, the step, and `user_bytes` bytes at `user` (16 MiB at
 * most) to the file `path`. The file that was there stays whole until the new one is on disk.
 * PTN_UNAVAILABLE (detail = errno) where writing fails. */
PTN_API ptn_status ptn_session_save(ptn_session* session, const char* path, const void* user,
                                    size_t user_bytes);
/* Takes up what was saved. All of it, or nothing is changed: PTN_NOT_FOUND, PTN_UNAVAILABLE,
 * PTN_DATA_LOSS (damaged), PTN_FAILED_PRECONDITION (not of this plan), PTN_UNIMPLEMENTED (newer).
 */
PTN_API ptn_status ptn_session_restore(ptn_session* session, const char* path);
/* The user's bytes of the last restore; NULL and 0 before one. They live until the next. */
PTN_API ptn_status ptn_session_user_bytes(ptn_session* session, const void** data, size_t* bytes);

/* ---- Figures --------------------------------------------------------------------------------- */

/* Sizes in bytes, exact. */
typedef struct ptn_memory {
  uint32_t struct_size;
  int32_t slots;           /* work items that may run at once: more threads help little */
  int64_t arena_bytes;     /* activations, gradients, scratch */
  int64_t param_bytes;     /* what learns, and statistics, in RAM */
  int64_t optimizer_bytes; /* states */
  int64_t packed_bytes;    /* frozen weights as kernels hold them */
  int64_t predicted_peak_bytes;
} ptn_memory;

PTN_API ptn_status ptn_session_memory(ptn_session* session, ptn_memory* out);
PTN_API ptn_status ptn_session_threads(ptn_session* session, uint32_t* out);
/* Steps taken; saved in checkpoints. Setting it moves what depends on it: dropout, AdamW. */
PTN_API ptn_status ptn_session_step(ptn_session* session, uint64_t* out);
PTN_API ptn_status ptn_session_set_step(ptn_session* session, uint64_t step);
/* The plan's JSON metadata; lives as long as the session. */
PTN_API ptn_status ptn_session_metadata(ptn_session* session, const char** out);
/* The name of the first tensor, of all that are saved, that holds a number which is not finite;
 * NULL where there is none. Lives as long as the session. */
PTN_API ptn_status ptn_session_find_not_finite(ptn_session* session, const char** out);

/* ---- Samples --------------------------------------------------------------------------------- */

/* What a training learns from, or is judged by: samples with numbers from 0 on. */
typedef struct ptn_samples ptn_samples;

/* Samples that lie in the caller's memory: add each input of the plan but sample weights
 * (PTN_SAMPLE_WEIGHT), which the training fills in itself (1 for a sample, 0 where the last batch
 * of a validation is not full). */
PTN_API ptn_status ptn_samples_create(int64_t count, ptn_samples** out);
/* The input of that name: sample i has `bytes_per_sample` bytes from data + i * bytes_per_sample
 * on, as many as the plan's input takes for one sample. The memory stays the caller's, is read
 * while a training or an evaluation runs, and must live and stay as it is as long as the samples
 * are used. Not while they are in use by a trainer: PTN_FAILED_PRECONDITION. */
PTN_API ptn_status ptn_samples_add(ptn_samples* samples, const char* input, const void* data,
                                   size_t bytes_per_sample);

/* One input of the plan for one sample, to be filled in. */
typedef struct ptn_sample_input {
  const char* name;
  void* data;    /* aligned to its elements; NULL where nobody reads it this time */
  size_t bytes;  /* of the whole input for one sample */
  int32_t dtype; /* PTN_F32, ... */
  int32_t rank;
  int64_t dims[6]; /* of one sample: the plan's without the batch */
  /* Entries of the first dimension that were written. All, unless the callback says less: the rest
   * is then made zero. */
  int64_t length;
} ptn_sample_input;

/* How a sample is to come. Where `training` is 1 it may be augmented, by what follows from seed,
 * epoch and the sample's number alone: samples are loaded in any order, and again after a restart.
 */
typedef struct ptn_draw {
  int32_t training;
  uint32_t reserved;
  uint64_t seed;
  int64_t epoch;
} ptn_draw;

/* Writes sample `sample` to the inputs. Called on threads of the library's own, never twice at once
 * for the same memory. PTN_DATA_LOSS: the sample is bad, it is left out and another takes its
 * place; any other error, and anything thrown, ends the training with that status. */
typedef ptn_status (*ptn_load_fn)(void* user, int64_t sample, const ptn_draw* draw,
                                  ptn_sample_input* inputs, size_t input_count);
/* Samples that a callback loads. */
PTN_API ptn_status ptn_samples_create_from(int64_t count, ptn_load_fn load, void* user,
                                           ptn_samples** out);
/* Trainers that use them keep them until they are freed. NULL is fine. */
PTN_API ptn_status ptn_samples_free(ptn_samples* samples);

typedef struct ptn_evaluation {
  uint32_t struct_size;
  uint32_t classes; /* 0 where the plan tells no classes apart: it has a loss alone */
  int64_t samples;  /* that were judged: all but bad ones */
  int64_t correct;
  int64_t correct_top5;
  int64_t bad;
  double loss;                                  /* mean over the samples */
  double accuracy, balanced_accuracy, macro_f1; /* fractions */
} ptn_evaluation;

/* One pass over the samples, without augmentation. Leaves the session's inputs unbound. */
PTN_API ptn_status ptn_session_evaluate(ptn_session* session, ptn_samples* samples,
                                        ptn_evaluation* out);

/* ---- Training -------------------------------------------------------------------------------- */

/* The whole loop: batches in the order of a seed, learning rate, validation, checkpoints, the guard
 * against numbers that are not finite, early stopping. What was stopped, killed or cut off from
 * power and goes on with ptn_trainer_restore comes to the same bits as one that ran through. */
typedef struct ptn_trainer ptn_trainer;

enum { PTN_LR_COSINE = 0, PTN_LR_CONSTANT = 1, PTN_LR_LINEAR = 2, PTN_LR_STEP = 3 };

/* After a step, and after an epoch. */
typedef struct ptn_progress {
  uint32_t struct_size;
  int32_t epoch_ended; /* 0: after a step; 1: after an epoch, and what is named so below holds */
  int64_t step;        /* steps done */
  int64_t total_steps;
  int64_t epoch;   /* from 0 */
  double loss;     /* of the step; of an epoch the mean */
  double lr;       /* of an epoch: its last */
  double val_loss; /* of an epoch that was judged by validation, as accuracy, a fraction */
  double val_accuracy;
  int32_t validated; /* 1 where it was */
  int32_t best;      /* 1 where no epoch before was as good */
} ptn_progress;

/* On the thread of ptn_trainer_run. 0: go on. Anything else: save and stop. It may call
 * ptn_trainer_stop and _pause; other calls on the trainer and its session are refused meanwhile.
 * Where it throws the run saves, and ends with PTN_CANCELLED. */
typedef int32_t (*ptn_progress_fn)(void* user, const ptn_progress* progress);

typedef struct ptn_trainer_options {
  uint32_t struct_size;
  int32_t lr_schedule; /* PTN_LR_COSINE, ... */
  double lr;           /* above 0; 0: 0.01 */
  int64_t epochs;      /* 0: 10 */
  int64_t steps;       /* so many in place of epochs; 0: epochs count */
  int64_t warmup_steps;
  int64_t lr_step_every;      /* epochs, for PTN_LR_STEP, which takes a tenth each time; 0: never */
  uint64_t seed;              /* of the order of the samples; 0: 1 */
  int64_t patience;           /* epochs without gain on validation before it stops; 0: never */
  int64_t checkpoint_every;   /* steps; 0: at the end of each epoch */
  double time_budget_seconds; /* it saves and stops in time for it; 0: no bound */
  /* A folder that is there, for checkpoints that outlive the process; one trainer at a time. NULL:
   * states are kept in memory, for the guard and the best epoch. Copied. */
  const char* folder;
  ptn_samples* validation; /* judges epochs: the best one's weights are kept. NULL: the last ones */
  ptn_progress_fn progress; /* may be NULL */
  void* user;
  uint32_t loader_threads; /* 0: 1 */
  uint32_t reserved;
} ptn_trainer_options;

/* Trains the session on the samples. Keeps both, and the validation, until it is freed; the session
 * can be used whenever no ptn_trainer_run is under way. */
PTN_API ptn_status ptn_trainer_create(ptn_session* session, ptn_samples* samples,
                                      const ptn_trainer_options* options, ptn_trainer** out);
/* Goes back to the newest state in the folder. PTN_NOT_FOUND where there is none, as before the
 * first run; nothing has changed then. */
PTN_API ptn_status ptn_trainer_restore(ptn_trainer* trainer);

enum {
  PTN_TRAIN_FINISHED = 0,      /* all steps are done */
  PTN_TRAIN_EARLY_STOPPED = 1, /* no gain for `patience` epochs */
  PTN_TRAIN_TIME_BUDGET = 2,   /* saved; goes on with another run */
  PTN_TRAIN_STOPPED = 3        /* likewise: ptn_trainer_stop, or what `progress` gave */
};

/* Runs to the end, or on from where it stopped; `end`, which may be NULL, says how it ended. Leaves
 * the session's inputs unbound. Errors: those of a step, of the source, of saving; PTN_CANCELLED
 * where `progress` failed; PTN_ABORTED where numbers stay not finite. After PTN_RESOURCE_EXHAUSTED
 * for want of memory the trainer may be of no more use (PTN_FAILED_PRECONDITION): make another. */
PTN_API ptn_status ptn_trainer_run(ptn_trainer* trainer, int32_t* end);
/* Makes the run save and end after the step in flight, or the next run at once. From any thread,
 * and from callbacks. A session that an app wants to use meanwhile is had so: stop, use, run. */
PTN_API ptn_status ptn_trainer_stop(ptn_trainer* trainer);
/* The run rests behind the step in flight until resume or stop. From any thread. */
PTN_API ptn_status ptn_trainer_pause(ptn_trainer* trainer);
PTN_API ptn_status ptn_trainer_resume(ptn_trainer* trainer);
/* Steps done, and all of them; either may be NULL. Not while it runs: see ptn_progress. */
PTN_API ptn_status ptn_trainer_steps(ptn_trainer* trainer, int64_t* done, int64_t* total);
/* NULL is fine. */
PTN_API ptn_status ptn_trainer_free(ptn_trainer* trainer);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKETUNE_H_ */
