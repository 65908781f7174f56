# aneroid_library(NAME SOURCES ... DEPENDS ...): one static library per folder,
# known to others as aneroid::NAME. DEPENDS are the arrows of docs/layout.md.
# aneroid_test(NAME SOURCES ... DEPENDS ... LABELS ...): a GoogleTest program.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(aneroid_options INTERFACE)
target_include_directories(aneroid_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(aneroid_options INTERFACE -Wall -Wextra -Wpedantic
  -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion)
if(ANEROID_WERROR)
  target_compile_options(aneroid_options INTERFACE -Werror)
endif()
# gcc 12 reports false positives inside the standard library at -O2.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(aneroid_options INTERFACE -Wno-restrict
    -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
    -Wno-stringop-overread)
endif()
# -O3 is for the numeric folders, which ask for it; elsewhere it only costs
# build time.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(ANEROID_NUMERIC_OPTIMIZATION -O3)
set(ANEROID_TEST_OPTIMIZATION -O1)
if(ANEROID_SANITIZE)
  # Built quickly, but numeric loops must end in our lifetime.
  set(ANEROID_NUMERIC_OPTIMIZATION -O1)
  set(ANEROID_TEST_OPTIMIZATION -O0)
  add_compile_options(-fsanitize=${ANEROID_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ANEROID_SANITIZE})
endif()

function(aneroid_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(aneroid_${name} STATIC ${ARG_SOURCES})
  add_library(aneroid::${name} ALIAS aneroid_${name})
  target_link_libraries(aneroid_${name} PUBLIC aneroid_options ${ARG_DEPENDS})
endfunction()

function(aneroid_test name)
  if(NOT ANEROID_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${ANEROID_TEST_OPTIMIZATION})
  # GoogleTest's headers are compiled once for all tests.
  if(NOT TARGET aneroid_test_headers)
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/test_headers.cpp
      CONTENT "")
    add_library(aneroid_test_headers OBJECT
      ${PROJECT_BINARY_DIR}/generated/test_headers.cpp)
    target_link_libraries(aneroid_test_headers
      PRIVATE aneroid_options GTest::gtest_main)
    target_compile_options(aneroid_test_headers
      PRIVATE ${ANEROID_TEST_OPTIMIZATION})
    target_precompile_headers(aneroid_test_headers PRIVATE <gtest/gtest.h>)
  endif()
  target_precompile_headers(${name} REUSE_FROM aneroid_test_headers)
  # One target for what the sanitizers run.
  if("unit" IN_LIST ARG_LABELS)
    if(NOT TARGET unit_tests)
      add_custom_target(unit_tests)
    endif()
    add_dependencies(unit_tests ${name})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}"
    TIMEOUT ${ARG_TIMEOUT} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endfunction()
