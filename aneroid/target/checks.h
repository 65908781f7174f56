// One function per rule, named after what it looks for; the table in rules.cpp
// says which rule it is. Private to this folder.
#pragma once

#include "aneroid/target/subject.h"

namespace aneroid::target {

// checks_program.cpp: the program, its ports, its surfaces.
void missing_build_info(const Subject& subject, Findings& findings);
void removed_outputs(const Subject& subject, Findings& findings);
void blob_offsets(const Subject& subject, Findings& findings);
void tiny_ports(const Subject& subject, Findings& findings);
void narrow_inputs(const Subject& subject, Findings& findings);
void several_rank4_inputs(const Subject& subject, Findings& findings);
void too_many_ports(const Subject& subject, Findings& findings);
void rank_above_5(const Subject& subject, Findings& findings);
void large_dimensions(const Subject& subject, Findings& findings);
void chain_of_512(const Subject& subject, Findings& findings);
void chain_above_limit(const Subject& subject, Findings& findings);

void unequal_surfaces(const SurfaceSizes& sizes, const Chip& chip,
                      Findings& findings);
void small_surfaces(const SurfaceSizes& sizes, const Chip& chip,
                    Findings& findings);
void too_many_surfaces(const SurfaceSizes& sizes, const Chip& chip,
                       Findings& findings);

// checks_ops.cpp: one operation at a time.
using OpFinding = std::optional<std::string>;
OpFinding inline_matmul_flags(const OpView& view);
OpFinding gelu_without_mode(const OpView& view);
OpFinding runtime_matmul_contraction(const OpView& view);
OpFinding conv_32k_channels(const OpView& view);
OpFinding conv_kernel_above_16(const OpView& view);
OpFinding conv_line_kernel(const OpView& view);
OpFinding conv_kernel_width(const OpView& view);
OpFinding conv_stride(const OpView& view);
OpFinding max_pool_width(const OpView& view);
OpFinding matmul_contraction(const OpView& view);
OpFinding topk_op(const OpView& view);
OpFinding softmax_length(const OpView& view);
OpFinding doubtful_raw_op(const OpView& view);
OpFinding concat_op(const OpView& view);
OpFinding conv_bias(const OpView& view);
OpFinding op_missing_on_m1(const OpView& view);
OpFinding constant_matmul_operand(const OpView& view);
OpFinding tile_op(const OpView& view);
OpFinding conv_runtime_weight(const OpView& view);
OpFinding attention_mask(const OpView& view);
OpFinding long_attention(const OpView& view);
OpFinding op_needs_generation_15(const OpView& view);
OpFinding op_needs_generation_14(const OpView& view);
OpFinding runtime_rsqrt(const OpView& view);

OpFinding transposed_dimension(const OpView& view);

// checks_old_chips.cpp: raw programs on the first generations.
void mil_before_h13(const Subject& subject, Findings& findings);
void avoided_names(const Subject& subject, Findings& findings);
void shared_weight_files(const Subject& subject, Findings& findings);
OpFinding runtime_matmul_slots(const OpView& view);
OpFinding runtime_depthwise_weight(const OpView& view);
OpFinding sqrt_fusion(const OpView& view);
OpFinding flat_elementwise(const OpView& view);
OpFinding unsafe_broadcast(const OpView& view);
OpFinding width_slice(const OpView& view);
void unordered_surfaces(const SurfaceSizes& sizes, const Chip& chip,
                        Findings& findings);
void small_outputs(const SurfaceSizes& sizes, const Chip& chip,
                   Findings& findings);

// checks_coreml.cpp: what Core ML leaves on the CPU.
void state_width(const Subject& subject, Findings& findings);
OpFinding dilated_kernel_width(const OpView& view);
OpFinding upsample_factor(const OpView& view);
OpFinding old_layer_limits(const OpView& view);
OpFinding integer_leg(const OpView& view);
OpFinding op_without_form(const OpView& view);
OpFinding lookup_by_block(const OpView& view);
OpFinding scale_along_sum(const OpView& view);
OpFinding grouped_scales(const OpView& view);
void enumerated_layer_norm(const Subject& subject, Findings& findings);
void flexible_inputs(const Subject& subject, Findings& findings);

// checks_e5.cpp: M5 below Core ML.
OpFinding topk_of_3_or_4(const OpView& view);
OpFinding shuffle_or_norm_limits(const OpView& view);
OpFinding fused_square(const OpView& view);
OpFinding narrow_dynamic_slice(const OpView& view);

}  // namespace aneroid::target
