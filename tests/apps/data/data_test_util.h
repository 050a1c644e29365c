// Writers of small datasets for the tests of apps/data: what the readers read, written by hand or
// by the libraries' encoders.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

// libjpeg's header needs size_t and FILE declared first.
#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>
#include <zlib.h>

#include "apps/data/image.h"
#include "engine/base/rng.h"

namespace pocketune::data {

using Bytes = std::vector<uint8_t>;

inline Bytes ToBytes(const std::string& text) {
  Bytes bytes;
  for (char c : text) bytes.push_back(uint8_t(c));
  return bytes;
}

// A folder that goes with the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "pocketune_data_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void WriteFile(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::filesystem::remove(path);  // overwriting in place is slow on some file systems
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}

inline void WriteFile(const std::string& path, const std::string& text) {
  WriteFile(path, Bytes(text.begin(), text.end()));
}

// Smooth colours that depend on `seed`, so that JPEG keeps them.
inline Image MakeImage(int height, int width, int channels, int seed) {
  Image image;
  image.Reset(height, width, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        image.pixels[(size_t(y) * width + x) * channels + c] =
            uint8_t((2 * y + 3 * x + 40 * c + 17 * seed) % 200 + 20);
      }
    }
  }
  return image;
}

// EXIF data of one entry: the orientation, in the byte order of Intel or Motorola.
inline Bytes MakeExif(int orientation, bool big_endian) {
  if (big_endian) {
    return {'M', 'M', 0, '*', 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, uint8_t(orientation),
            0,   0,   0, 0,   0, 0};
  }
  return {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, uint8_t(orientation),
          0,   0,   0,   0, 0, 0, 0};
}

// The JPEG with one more segment (marker 0xe1 is APP1) right behind its beginning.
inline Bytes WithSegment(const Bytes& jpeg, uint8_t marker, const std::string& name,
                         const Bytes& data) {
  const size_t length = 2 + name.size() + data.size();
  Bytes segment = {0xff, marker, uint8_t(length >> 8), uint8_t(length)};
  for (char c : name) segment.push_back(uint8_t(c));
  for (uint8_t b : data) segment.push_back(b);
  Bytes out = jpeg;
  out.insert(out.begin() + 2, segment.begin(), segment.end());
  return out;
}

inline Bytes WithExif(const Bytes& jpeg, const Bytes& exif) {
  return WithSegment(jpeg, 0xe1, std::string("Exif\0\0", 6), exif);
}

// Progressive in the usual few scans, or with one scan for each coefficient: 190 for colour.
enum class JpegScans { kBaseline, kProgressive, kOnePerCoefficient };

// Those that libjpeg takes for the number of channels (CMYK for 4), or YCCK.
enum class JpegColours { kDefault, kYcck };

inline Bytes EncodeJpeg(const Image& image, JpegScans scans = JpegScans::kBaseline,
                        JpegColours colours = JpegColours::kDefault) {
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &out, &size);
  cinfo.image_height = image.height;
  cinfo.image_width = image.width;
  cinfo.input_components = image.channels;
  cinfo.in_color_space = image.channels == 1   ? JCS_GRAYSCALE
                         : image.channels == 3 ? JCS_RGB
                                               : JCS_CMYK;
  jpeg_set_defaults(&cinfo);
  if (colours == JpegColours::kYcck) jpeg_set_colorspace(&cinfo, JCS_YCCK);
  jpeg_set_quality(&cinfo, 95, TRUE);
  if (scans != JpegScans::kBaseline) jpeg_simple_progression(&cinfo);
  std::vector<jpeg_scan_info> script;
  if (scans == JpegScans::kOnePerCoefficient) {
    script.push_back({image.channels, {0, 1, 2, 3}, 0, 0, 0, 0});
    for (int i = 0; i < 63 * image.channels; ++i) {
      script.push_back(
          {1, {i % image.channels}, 1 + i / image.channels, 1 + i / image.channels, 0, 0});
    }
    cinfo.scan_info = script.data();
    cinfo.num_scans = int(script.size());
  }
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(image.pixels.data()) +
                   size_t(cinfo.next_scanline) * image.width * image.channels;
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  Bytes bytes(out, out + size);
  free(out);
  return bytes;
}

// `rows` holds the raw PNG rows, top to bottom, in the given colour type and depth.
inline Bytes EncodePngRows(int height, int width, int color_type, int depth, int interlace,
                           const Bytes& rows, const std::vector<png_color>& palette = {}) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t n) {
        auto* out = static_cast<Bytes*>(png_get_io_ptr(p));
        out->insert(out->end(), data, data + n);
      },
      nullptr);
  png_set_IHDR(png, info, width, height, depth, color_type, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), int(palette.size()));
  png_write_info(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y) {
    pointers.push_back(const_cast<uint8_t*>(rows.data()) + y * row_bytes);
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

inline Bytes EncodePng(const Image& image, int interlace = PNG_INTERLACE_NONE) {
  const int color = image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
  return EncodePngRows(image.height, image.width, color, 8, interlace, image.pixels);
}

inline void AppendBig32(uint32_t v, Bytes* out) {
  for (int shift : {24, 16, 8, 0}) out->push_back(uint8_t(v >> shift));
}

inline void AppendLittle(uint64_t v, int bytes, Bytes* out) {
  for (int i = 0; i < bytes; ++i, v >>= 8) out->push_back(uint8_t(v));
}

// The PNG with one more chunk `from_end` bytes before its end: 12 is before IEND.
inline Bytes WithChunk(const Bytes& png, const std::string& type, const Bytes& data,
                       size_t from_end = 12) {
  Bytes chunk;
  AppendBig32(uint32_t(data.size()), &chunk);
  for (char c : type) chunk.push_back(uint8_t(c));
  chunk.insert(chunk.end(), data.begin(), data.end());
  AppendBig32(uint32_t(crc32_z(0, chunk.data() + 4, chunk.size() - 4)), &chunk);
  Bytes out = png;
  out.insert(out.end() - std::ptrdiff_t(from_end), chunk.begin(), chunk.end());
  return out;
}

inline Bytes RiffChunk(const std::string& type, const Bytes& data) {
  Bytes out = ToBytes(type);
  AppendLittle(data.size(), 4, &out);
  out.insert(out.end(), data.begin(), data.end());
  if (data.size() % 2 == 1) out.push_back(0);
  return out;
}

// A WebP file of RIFF chunks.
inline Bytes MakeWebp(const std::vector<Bytes>& chunks) {
  Bytes body = {'W', 'E', 'B', 'P'};
  for (const Bytes& chunk : chunks) body.insert(body.end(), chunk.begin(), chunk.end());
  return RiffChunk("RIFF", body);
}

// Of 3 channels, or 4 with alpha. Lossless where `quality` is 100.
inline Bytes EncodeWebp(const Image& image, float quality = 100) {
  uint8_t* out = nullptr;
  const uint8_t* pixels = image.pixels.data();
  const int w = image.width, h = image.height, c = image.channels;
  const size_t size = quality < 100 ? (c == 4 ? WebPEncodeRGBA(pixels, w, h, 4 * w, quality, &out)
                                              : WebPEncodeRGB(pixels, w, h, 3 * w, quality, &out))
                      : c == 4      ? WebPEncodeLosslessRGBA(pixels, w, h, 4 * w, &out)
                                    : WebPEncodeLosslessRGB(pixels, w, h, 3 * w, &out);
  const Bytes bytes(out, out + size);
  WebPFree(out);
  return bytes;
}

// The chunk of the pixels of a WebP file that has no other.
inline Bytes PixelsOfWebp(const Bytes& webp) { return {webp.begin() + 12, webp.end()}; }

// The header of a WebP file with more than pixels in it: `flags` 2 animation, 8 EXIF, 16 alpha.
inline Bytes WebpHeader(int flags, int width, int height) {
  Bytes data;
  AppendLittle(uint64_t(flags), 4, &data);
  AppendLittle(uint64_t(width - 1), 3, &data);
  AppendLittle(uint64_t(height - 1), 3, &data);
  return RiffChunk("VP8X", data);
}

inline Bytes MakeIdx(uint32_t magic, std::initializer_list<uint32_t> dims, const Bytes& data) {
  Bytes out;
  AppendBig32(magic, &out);
  for (uint32_t d : dims) AppendBig32(d, &out);
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

inline Bytes Deflate(const Bytes& in, int window_bits) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, in.size()) + 64);
  stream.next_in = const_cast<uint8_t*>(in.data());
  stream.avail_in = uInt(in.size());
  stream.next_out = out.data();
  stream.avail_out = uInt(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline Bytes Gzip(const Bytes& in) { return Deflate(in, MAX_WBITS + 16); }

inline Bytes MakeNpy(const std::string& dtype, const std::string& shape, const Bytes& data) {
  std::string header =
      "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  Bytes out = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  AppendLittle(header.size(), 2, &out);
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

struct ZipEntry {
  std::string name;
  Bytes data;
  bool deflated = false;
};

inline Bytes MakeZip(const std::vector<ZipEntry>& entries) {
  Bytes out, directory;
  for (const ZipEntry& e : entries) {
    const Bytes packed = e.deflated ? Deflate(e.data, -MAX_WBITS) : e.data;
    const uint32_t crc = uint32_t(crc32_z(0, e.data.data(), e.data.size()));
    const size_t offset = out.size();
    const auto append_common = [&](Bytes* to) {
      AppendLittle(0, 2, to);  // flags
      AppendLittle(e.deflated ? 8 : 0, 2, to);
      AppendLittle(0, 4, to);  // time, date
      AppendLittle(crc, 4, to);
      AppendLittle(packed.size(), 4, to);
      AppendLittle(e.data.size(), 4, to);
      AppendLittle(e.name.size(), 2, to);
      AppendLittle(0, 2, to);  // extra
    };
    AppendLittle(0x04034b50, 4, &out);
    AppendLittle(20, 2, &out);
    append_common(&out);
    out.insert(out.end(), e.name.begin(), e.name.end());
    out.insert(out.end(), packed.begin(), packed.end());
    AppendLittle(0x02014b50, 4, &directory);
    AppendLittle(20, 2, &directory);
    AppendLittle(20, 2, &directory);
    append_common(&directory);
    AppendLittle(0, 10, &directory);  // comment, disk, attributes
    AppendLittle(offset, 4, &directory);
    directory.insert(directory.end(), e.name.begin(), e.name.end());
  }
  const size_t directory_offset = out.size();
  out.insert(out.end(), directory.begin(), directory.end());
  AppendLittle(0x06054b50, 4, &out);
  AppendLittle(0, 4, &out);
  AppendLittle(entries.size(), 2, &out);
  AppendLittle(entries.size(), 2, &out);
  AppendLittle(directory.size(), 4, &out);
  AppendLittle(directory_offset, 4, &out);
  AppendLittle(0, 2, &out);
  return out;
}

// `n` bytes of noise.
inline Bytes Noise(size_t n, uint64_t seed) {
  const RandomStream random(seed, "noise");
  Bytes bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = uint8_t(random.Bits(i));
  return bytes;
}

// A folder of `per_class` JPEGs of 13x11 pixels in classes "ant", "bee", "cat", all different.
inline void WriteImageFolder(const std::string& root, int per_class) {
  int seed = 0;
  for (const char* name : {"ant", "bee", "cat"}) {
    for (int i = 0; i < per_class; ++i) {
      char file[32];
      std::snprintf(file, sizeof(file), "/%03d.jpg", i);
      WriteFile(root + "/" + name + file, EncodeJpeg(MakeImage(13, 11, 3, seed++)));
    }
  }
}

}  // namespace pocketune::data
