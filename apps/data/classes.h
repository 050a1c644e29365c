// The names of classes: how they are written, their order, and how those of some data meet those
// that a run learned.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace pocketune::data {

struct DatasetContents;

// `bytes` as valid UTF-8 that any file format can keep: bytes that are none become `\xE9`. Names
// that differ stay different: a backslash becomes `\x5C` where it would read as such an escape, or
// in a name that has some.
std::string ReadableName(std::string_view bytes);
// The bytes that ReadableName was given.
std::string BytesOfName(std::string_view readable);

// `text` without the white space around it, that of Unicode in UTF-8 too.
std::string_view StripSpace(std::string_view text);

// Orders by value where all names are numbers ("2", "-1.5", "007"; equal ones by bytes), else by
// bytes.
void SortClassNames(std::vector<std::string>* names);

// Puts the classes of `contents` into that order, and renumbers the samples' labels.
void SortClasses(DatasetContents* contents);

// "a, b, c and 7 more": `names` in one line, of which at most `limit` are written out.
std::string ListNames(const std::vector<std::string>& names, size_t limit);

// Names that differ in the case of their letters or the space around them alone, as one line; ""
// where there are none.
std::string NoteOnLikeNames(const std::vector<std::string>& names);

// Makes the classes of `contents` those of `known`, in its order, matched by name: labels are
// renumbered, and a class that the data lacks has no samples. DATA_LOSS where a sample is of a
// class that is not in `known`, which must not name a class twice; `path` begins that message.
absl::Status MatchKnownClasses(const std::string& path, const std::vector<std::string>& known,
                               DatasetContents* contents);

// Gives class "i", a whole number, the name names[i]; names without samples are kept. DATA_LOSS or
// INVALID_ARGUMENT for too few names, or one given twice.
absl::Status NameNumberedClasses(const std::string& path, const std::vector<std::string>& names,
                                 DatasetContents* contents);

}  // namespace pocketune::data
