"""Transformers, recurrent networks and a graph's on words and sequences, tiny."""

import torch
import torch.nn.functional as F
from torch import nn

WORDS = 32


def chains(generator, count=8, length=16):
    """Draws sequences in which a word mostly follows from the last one, and the same as targets."""
    x = torch.randint(WORDS, (count, length), generator=generator)
    for t in range(1, length):
        follows = torch.rand(count, generator=generator) < 0.9
        x[:, t] = torch.where(follows, (5 * x[:, t - 1] + 3) % WORDS, x[:, t])
    return x, x


def topics(generator, count=16, length=16, classes=4):
    """Draws sequences whose words are mostly of one topic, and the topics."""
    y = torch.randint(classes, (count,), generator=generator)
    inside = torch.randint(WORDS // classes, (count, length), generator=generator) + y[:, None] * (WORDS // classes)
    anything = torch.randint(WORDS, (count, length), generator=generator)
    return torch.where(torch.rand(count, length, generator=generator) < 0.6, inside, anything), y


def translated(generator, count=16, length=8):
    """Draws (source, what is known of the target), and the target: each word's translation in order."""
    source = torch.randint(2, WORDS, (count, length), generator=generator)
    target = (7 * source) % WORDS
    known = torch.cat([torch.zeros(count, 1, dtype=torch.long), target[:, :-1]], 1)
    return (source, known), target


def continued(generator, count=16, length=8):
    """Draws (source, what is known of the target), and the target: a chain that goes on where the source ends."""
    whole = chains(generator, count, 2 * length)[0]
    return (whole[:, :length], whole[:, length - 1 : -1]), whole[:, length:]


def communities(generator, nodes=60, classes=3, width=16):
    """Draws (features, adjacency) of a graph that knows more inside classes than between them, and the classes."""
    y = torch.arange(nodes) % classes
    odds = torch.where(y[:, None] == y, 0.3, 0.03)
    upper = (torch.rand(nodes, nodes, generator=generator) < odds).float().triu(1)
    x = torch.randn(nodes, width, generator=generator)
    return (x + F.one_hot(y, width), upper + upper.T), y


def likelihood(outputs, targets):
    """Cross-entropy of Hugging Face's classifiers."""
    return F.cross_entropy(outputs.logits, targets)


def next_word(outputs, words):
    return F.cross_entropy(outputs.logits[:, :-1].flatten(0, 1), words[:, 1:].flatten())


def every_word(logits, words):
    return F.cross_entropy(logits.flatten(0, 1), words.flatten())


SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(vocab_size=WORDS, num_labels=4, **SIZES))


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_positions=32, n_embd=32, n_layer=3, n_head=2, **ends))


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, max_position_embeddings=32, **SIZES))


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(image_size=16, patch_size=4, num_labels=4, **SIZES))


class T5(nn.Module):
    def __init__(self):
        super().__init__()
        from transformers import T5Config, T5ForConditionalGeneration

        sizes = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
        self.t5 = T5ForConditionalGeneration(T5Config(vocab_size=WORDS, **sizes))

    def forward(self, inputs):
        source, known = inputs
        return self.t5(input_ids=source, decoder_input_ids=known).logits


class BiLstm(nn.Module):
    """A classifier of sequences by the last states of both directions."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 16)
        self.lstm, self.dropout = nn.LSTM(16, 32, batch_first=True, bidirectional=True), nn.Dropout(0.2)
        self.head = nn.Linear(64, 4)

    def forward(self, words):
        _, (h, _) = self.lstm(self.embedding(words))
        return self.head(self.dropout(torch.cat([h[0], h[1]], 1)))


class Seq2seq(nn.Module):
    """A GRU that reads, and one that writes and looks back (Luong et al., 2015)."""

    def __init__(self, width=32):
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, 16), nn.Embedding(WORDS, 16)
        self.encoder, self.decoder = nn.GRU(16, width, batch_first=True), nn.GRU(16, width, batch_first=True)
        self.join, self.act, self.head = nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, WORDS)

    def forward(self, inputs):
        source, known = inputs
        read, state = self.encoder(self.source(source))
        written, _ = self.decoder(self.target(known), state)
        seen = (written @ read.transpose(1, 2)).softmax(-1) @ read
        return self.head(self.act(self.join(torch.cat([written, seen], -1))))


class Gcn(nn.Module):
    """Kipf & Welling (2017), three layers."""

    def __init__(self, inputs=16, width=16, classes=3):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, classes)])
        self.act, self.dropout = nn.ReLU(), nn.Dropout(0.2)

    def forward(self, graph):
        x, adjacency = graph
        around = adjacency + torch.eye(len(adjacency), dtype=x.dtype)
        share = around.sum(1).rsqrt()
        mean = share[:, None] * around * share
        for layer in self.layers[:-1]:
            x = self.dropout(self.act(mean @ layer(x)))
        return mean @ self.layers[-1](x)
