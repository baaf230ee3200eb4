#include "dmoerm/label/builtin_prompts.h"

namespace dmoerm::label {

const char* chinese_tasks_file() {
  return R"TOML(language = "zh"

[template]
message = """
给定一个问题和两个回复，请判断回复1和回复2哪一个在{point}方面更好。
{definition}
只判断{point}，不考虑其他方面的质量、回复的长度和先后顺序。请以1或2开头作答。

【问题】
{question}

【回复1】
{reply_1}

【回复2】
{reply_2}
"""
roles = {system = "系统", user = "用户", assistant = "助手"}

[[task]]
name = "roleplay"
aliases = ["角色扮演"]
points = [
  "character_setting_and_emotional_investment", "conversational_sense", "empathy_ability",
  "manifestation_of_relationship_traits", "personalized_characteristic_expression", "content_richness",
]
[task.titles]
character_setting_and_emotional_investment = "人物设定与情感投入"
conversational_sense = "对话感"
empathy_ability = "共情能力"
manifestation_of_relationship_traits = "关系特征体现"
personalized_characteristic_expression = "个性化特征表达"
content_richness = "内容丰富度"
[task.definitions]
character_setting_and_emotional_investment = "即：回复始终符合设定的人物，并带有该人物在此情景下应有的情感。"
conversational_sense = "即：回复像真人在对话，承接对方刚说的话，并让对方有话可接。"
empathy_ability = "即：回复能察觉并重视对方的情绪，回应的是感受而不只是字面意思。"
manifestation_of_relationship_traits = "即：人物之间的亲疏、身份、称呼和共同经历体现在说话方式中。"
personalized_characteristic_expression = "即：用词、习惯和看法属于这个人物，而不是任何人都会说的话。"
content_richness = "即：回复带来推动情景发展的细节、动作或想法，不重复、不空泛。"

[[task]]
name = "chat"
aliases = ["闲聊"]
points = ["conversational_sense", "proactivity", "emotion_expression", "empathy_ability", "content_richness"]
[task.titles]
conversational_sense = "对话感"
proactivity = "主动性"
emotion_expression = "情感表达"
empathy_ability = "共情能力"
content_richness = "内容丰富度"
[task.definitions]
conversational_sense = "即：回复像真人在聊天，与上文衔接自然，不生硬、不说教。"
proactivity = "即：回复主动推进对话，例如提问、提议或引出合适的话题。"
emotion_expression = "即：回复表达了与情景相符、自然适度的情感。"
empathy_ability = "即：回复能察觉并重视对方的情绪，回应的是感受而不只是字面意思。"
content_richness = "即：回复言之有物，有具体的细节、经历或想法，没有空话。"

[[task]]
name = "subj_qa"
aliases = ["主观知识问答"]
points = ["convincing_ability", "logic", "viewpoint_richness", "breadth_of_knowledge", "question_specific"]
[task.titles]
convincing_ability = "说服力"
logic = "逻辑性"
viewpoint_richness = "观点丰富度"
breadth_of_knowledge = "知识广度"
question_specific = "问题针对性"
[task.definitions]
convincing_ability = "即：观点有理由、例子或事实支持，能够说服持怀疑态度的读者。"
logic = "即：各部分前后相承、条理清楚，没有矛盾和跳跃。"
viewpoint_richness = "即：考虑了多个实质不同的观点，并加以权衡。"
breadth_of_knowledge = "即：恰当而正确地运用了多个领域或来源的知识。"
question_specific = "即：回答的正是所问的问题、情形和提问者，而不是相近或泛泛的问题。"

[[task]]
name = "obj_qa"
aliases = ["客观知识问答"]
points = ["correctness", "objectiveness", "reasoning_ability", "logic", "depth_of_knowledge", "question_specific"]
[task.titles]
correctness = "正确性"
objectiveness = "客观性"
reasoning_ability = "推理能力"
logic = "逻辑性"
depth_of_knowledge = "知识深度"
question_specific = "问题针对性"
[task.definitions]
correctness = "即：事实、数据和结论都是正确的。"
objectiveness = "即：陈述事实，不带偏见、主观意见或夸张，并说明不确定之处。"
reasoning_ability = "即：在需要推理时，由已知条件经过正确的步骤得出结果。"
logic = "即：各部分前后相承、条理清楚，没有矛盾和跳跃。"
depth_of_knowledge = "即：不停留于表面，涉及原因、条件、机制和准确的术语。"
question_specific = "即：完整、直接地回答所问的问题，而不是相近或泛泛的问题。"

[[task]]
name = "text"
aliases = ["文本创作"]
points = ["intent_conformity", "expressiveness", "readability", "content_richness", "logic"]
[task.titles]
intent_conformity = "意图符合度"
expressiveness = "表现力"
readability = "可读性"
content_richness = "内容丰富度"
logic = "逻辑性"
[task.definitions]
intent_conformity = "即：题材、体裁、风格、篇幅以及其他各项要求都符合所提的要求。"
expressiveness = "即：用词和形象生动准确，达到了这类文本应有的效果。"
readability = "即：读起来流畅，句子清楚，结构分明，没有语病。"
content_richness = "即：文本有充实的细节、素材和想法，不重复、不空泛。"
logic = "即：文本连贯，各部分前后相承、条理清楚，没有矛盾。"
)TOML";
}

}  // namespace dmoerm::label
