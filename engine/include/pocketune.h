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
 * Handles. A ptn_session or a ptn_pool is a number that looks like a pointer. NULL, a freed handle
 * and one of another kind are PTN_INVALID_ARGUMENT; a freed handle's number is not given again.
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
 * the caller's, must live as long as the session, and must not be changed. */
PTN_API ptn_status ptn_session_open_memory(const void* plan, size_t bytes,
                                           const ptn_session_options* options, ptn_session** out);
/* Gives back all that it holds; pointers that it gave are dead. NULL is fine. */
PTN_API ptn_status ptn_session_free(ptn_session* session);

enum { PTN_F32 = 0, PTN_F64 = 1, PTN_I32 = 2, PTN_U8 = 3 };

/* An input or an output. Shapes are static; dimensions outermost first, pictures are NHWC. */
typedef struct ptn_tensor_info {
  uint32_t struct_size;
  int32_t dtype;    /* PTN_F32, ... */
  const char* name; /* lives as long as the session */
  int64_t dims[6];  /* the first `rank` of them */
  int32_t rank;     /* 0 to 6; 0 is one element */
  uint32_t reserved;
  int64_t elements;
  int64_t bytes;
} ptn_tensor_info;

/* Inputs of the schedule "train" or "eval" ("image" f32[N,H,W,C], "label" i32[N], "weight" f32[N]:
 * 1 for a sample, 0 for padding) and its outputs ("loss" f32[], "logits" f32[N,K]). A schedule that
 * the plan lacks has none. `index` counts from 0; PTN_OUT_OF_RANGE beyond the last. */
PTN_API ptn_status ptn_session_input_count(ptn_session* session, const char* schedule, size_t* out);
PTN_API ptn_status ptn_session_input(ptn_session* session, const char* schedule, size_t index,
                                     ptn_tensor_info* out);
PTN_API ptn_status ptn_session_output_count(ptn_session* session, const char* schedule,
                                            size_t* out);
PTN_API ptn_status ptn_session_output(ptn_session* session, const char* schedule, size_t index,
                                      ptn_tensor_info* out);

/* Binds `bytes` at `data`, at any alignment, to the input of that name in every schedule that has
 * it. The memory stays the caller's, is read by each following step, and must live that long. NULL
 * unbinds. PTN_INVALID_ARGUMENT for an unknown name or another size. */
PTN_API ptn_status ptn_session_bind(ptn_session* session, const char* input, const void* data,
                                    size_t bytes);

/* One optimisation step on the bound batch: forward, backward, update; the mean loss (nats) goes to
 * *loss, which may be NULL. Takes no memory. PTN_FAILED_PRECONDITION: an input is unbound, or the
 * plan has no such schedule. PTN_OUT_OF_RANGE: a label outside [0, classes); nothing has learned.
 * PTN_DATA_LOSS: the loss is not finite, nothing has learned; or a gradient is not, and weights
 * that were updated before it have changed: restore the last checkpoint. */
PTN_API ptn_status ptn_session_train_step(ptn_session* session, double learning_rate, float* loss);
/* Forward alone; all inputs of "eval" must be bound. Errors as above. */
PTN_API ptn_status ptn_session_eval_step(ptn_session* session, float* loss);
/* What the outputs other than "loss" need of "eval": labels and weights may be unbound. */
PTN_API ptn_status ptn_session_predict(ptn_session* session);
/* Copies an output of the last step to `out`, `elements` floats, exactly its size.
 * PTN_FAILED_PRECONDITION where the last step was not one of `schedule` or did not compute it. */
PTN_API ptn_status ptn_session_read(ptn_session* session, const char* schedule, const char* output,
                                    float* out, size_t elements);

/* ---- Parameters ------------------------------------------------------------------------------ */

/* A parameter, or the state that an optimizer keeps for one. Values are f32. */
typedef struct ptn_param_info {
  uint32_t struct_size;
  int32_t rank;
  const char* name; /* lives as long as the session */
  int64_t dims[6];  /* own layouts: filters OHWI, depthwise HWC, linear [out, in] */
  int64_t elements;
  int32_t trainable; /* 1 where it learns under this plan; others cannot be written */
  int32_t state;     /* 1 for an optimizer's state */
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

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKETUNE_H_ */
