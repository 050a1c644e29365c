# Installs what SIDE needs to a new prefix, builds the consumer against it and runs it.
# SIDE = compiler: everything; compiles consumer.ptplan. SIDE = runtime: the component runtime alone,
# as on a phone; trains that plan.
set(work ${BUILD}/install_test/${SIDE})
set(plan ${BUILD}/install_test/consumer.ptplan)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(components runtime)
if(SIDE STREQUAL "compiler")
  list(APPEND components compiler)
endif()
foreach(component ${components})
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix --component ${component})
endforeach()
if(SIDE STREQUAL "runtime" AND EXISTS ${work}/prefix/include/pocketune/compiler.h)
  message(FATAL_ERROR "the component runtime installs headers of the compile side")
endif()

run(${CMAKE_COMMAND} -S ${SOURCE} -B ${work}/build -G Ninja -DCMAKE_BUILD_TYPE=${CONFIG}
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${work}/prefix)
run(${CMAKE_COMMAND} --build ${work}/build)
if(SIDE STREQUAL "compiler")
  run(${work}/build/compile_plan ${plan})
endif()
run(${work}/build/train_plan ${plan})

# Stops halfway; another process goes on from the folder, and a third finds nothing left to do.
file(MAKE_DIRECTORY ${work}/fine_tuned)
foreach(outcome "step 15 of 30.*step 15: class" "step 16 of 30.*step 30: class" "^step 30: class")
  execute_process(COMMAND ${work}/build/fine_tune ${plan} ${work}/fine_tuned
                  OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
  if(NOT said MATCHES "${outcome}")
    message(FATAL_ERROR "fine_tune: got ${said}, want ${outcome}")
  endif()
endforeach()
