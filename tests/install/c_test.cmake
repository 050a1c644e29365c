# Installs the component c alone to a new prefix, builds the example in C against it with pkg-config, once
# with the shared library and once with the archive, and lets both train the plan that the compiler's
# consumer has made.
set(work ${BUILD}/install_test/c)
set(prefix ${work}/prefix)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_VARIABLE said)
  message("${said}")
  set(said "${said}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --component c)
if(EXISTS ${prefix}/include/pocketune/session.h)
  message(FATAL_ERROR "the component c installs headers in C++")
endif()
set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)

# Builds the example with the linker's words that pkg-config gives for `how`, and runs it.
function(build_and_run name)
  run(${PKG_CONFIG} --cflags --libs ${ARGN} pocketune)
  separate_arguments(flags UNIX_COMMAND "${said}")
  run(${C_COMPILER} -std=c99 -pedantic -Wall -Wextra -Werror ${SOURCE} -o ${work}/${name} ${flags})
  file(MAKE_DIRECTORY ${work}/${name}.run)
  run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${prefix}/${LIBDIR}
      ${work}/${name} ${PLAN} ${work}/${name}.run)
  # Interrupted behind epoch 1, it goes on with epoch 2.
  string(REGEX REPLACE "loss [0-9.]+" "loss" told "${said}")
  if(NOT told STREQUAL "epoch 0: loss\nepoch 1: loss\nepoch 2: loss\nepoch 3: loss\na bright picture: class 1\n")
    message(FATAL_ERROR "the example did not do what it says (got \"${said}\")")
  endif()
  set(said "${said}" PARENT_SCOPE)
endfunction()

build_and_run(shared)
set(with_shared "${said}")
file(GLOB shared_libraries ${prefix}/${LIBDIR}/libpocketune.so*)
file(REMOVE ${shared_libraries})  # the archive is left
build_and_run(static --static)
if(NOT said STREQUAL with_shared)
  message(FATAL_ERROR "the archive learns something else than the shared library")
endif()
file(READ ${SOURCE} text)
string(REGEX REPLACE "[^\n]" "" newlines "${text}")
string(LENGTH "${newlines}" count)
if(count GREATER 60)
  message(FATAL_ERROR "the example is too long (got ${count} lines, want at most 60)")
endif()
